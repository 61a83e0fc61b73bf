"""What is used of pynetdicom beyond its documented interface, as it is in the version in use.

A name that changes there has to fail here, with its place, and not as an association that hangs.
"""

from __future__ import annotations

import ast
import inspect
import queue
import threading
import time
from pathlib import Path

import pynetdicom
import pytest
from pynetdicom import AE, _config, sop_class
from pynetdicom._globals import MODE_ACCEPTOR
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dul import DULServiceProvider
from pynetdicom.fsm import TRANSITION_TABLE, StateMachine
from pynetdicom.timer import Timer
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

import node.dimse
from node.dimse.contexts import VERIFICATION
from tests.node.dimse.receiving import Node
from tests.peers import running_pacs

PACKAGE = Path(node.dimse.__file__).parent


@pytest.fixture
def association() -> Association:
    return Association(AE(), MODE_ACCEPTOR)


def test_the_upper_layer_has_the_hooks_that_the_lane_overrides() -> None:
    for name in ("run_reactor", "_is_transport_event", "_read_pdu_data", "_process_recv_primitive"):
        assert list(inspect.signature(getattr(DULServiceProvider, name)).parameters) == ["self"]
    reactor = inspect.getsource(DULServiceProvider.run_reactor)
    order = [
        reactor.index(text)
        for text in ("_process_recv_primitive()", "_is_transport_event()", "do_action(")
    ]
    assert order == sorted(order)  # what is to be sent goes before what is read
    assert "_run_loop_delay" in reactor
    assert "_kill_thread" in reactor


def test_the_upper_layer_has_what_the_lane_uses(association: Association) -> None:
    dul = association.dul
    assert isinstance(dul, DULServiceProvider)
    assert isinstance(dul, threading.Thread)
    for one in (dul.event_queue, dul.to_provider_queue, dul._recv_pdu, dul.to_user_queue):
        assert isinstance(one, queue.Queue)
    assert isinstance(dul._idle_timer, Timer)
    assert isinstance(dul.artim_timer, Timer)
    assert dul.idle_timer_expired() is False
    assert dul.socket is None
    assert isinstance(dul.state_machine, StateMachine)
    assert dul._kill_thread is False
    dul.kill_dul()
    assert dul._kill_thread is True


def test_states_and_events_mean_what_the_lane_takes_them_for() -> None:
    """PS3.8 Table 9-10: states 3, 6 and 13, events 17 and 19."""
    assert TRANSITION_TABLE[("Evt6", "Sta2")] == "AE-6"
    assert TRANSITION_TABLE[("Evt7", "Sta3")] == "AE-7"
    assert TRANSITION_TABLE[("Evt19", "Sta2")] == "AA-1"
    assert TRANSITION_TABLE[("Evt19", "Sta6")] == "AA-8"
    assert TRANSITION_TABLE[("Evt17", "Sta6")] == "AA-4"
    assert TRANSITION_TABLE[("Evt17", "Sta13")] == "AR-5"
    sent = {event for event, state in TRANSITION_TABLE if state == "Sta13"}
    assert not sent & {"Evt7", "Evt8", "Evt9", "Evt11", "Evt14", "Evt15"}  # so they are dropped


def test_an_association_has_what_is_used_of_it(association: Association) -> None:
    assert association._accepted_cx == {}
    assert association._sent_abort is False
    assert isinstance(association.dimse, DIMSEServiceProvider)
    assert isinstance(association.dimse.msg_queue, queue.Queue)
    for name in ("receive_primitive", "send_msg"):
        assert callable(getattr(association.dimse, name))
    assert callable(association.acse.send_reject)
    assert callable(association.acceptor.add_negotiation_item)
    assert association.requestor.user_identity is None


def test_the_reactor_waits_at_its_checkpoint_before_it_looks_for_work(
    association: Association,
) -> None:
    assert isinstance(association._reactor_checkpoint, threading.Event)
    reactor = inspect.getsource(Association._run_reactor)
    order = [
        reactor.index(text)
        for text in ("_reactor_checkpoint.wait()", "dimse.get_msg(", "dul.is_alive()")
    ]
    assert order == sorted(order)
    assert "self.msg_queue" in inspect.getsource(DIMSEServiceProvider.get_msg)


def test_a_retrieve_is_sent_and_the_reactor_held_before_its_answers_are_read() -> None:
    for asked in (Association.send_c_get, Association.send_c_move):
        source = inspect.getsource(asked)
        steps = ("_reactor_checkpoint.clear()", "dimse.send_msg(", "_wrap_get_move_responses(")
        assert [source.index(one) for one in steps] == sorted(source.index(one) for one in steps)
        assert "yield " not in source.rpartition('"""')[2]


def test_requests_reach_their_service_by_one_function_and_cancels_wait_beside_them(
    association: Association,
) -> None:
    parameters = inspect.signature(Association._serve_request).parameters
    assert list(parameters) == ["self", "msg", "context_id"]
    assert "self._serve_request(" in inspect.getsource(Association._run_reactor)
    assert association.dimse.cancel_req == {}
    received = inspect.getsource(DIMSEServiceProvider.receive_primitive)
    steps = ("evt.EVT_DIMSE_RECV", "self.cancel_req[msg_id] = d_primitive", "self.msg_queue.put(")
    assert [received.index(one) for one in steps] == sorted(map(received.index, steps))


def test_who_says_that_a_reactor_is_paused() -> None:
    for held in (Association.release, Association.send_c_echo, Association.send_n_action):
        assert "while not self._is_paused" in inspect.getsource(held)
    killed = inspect.getsource(Association.kill)
    assert killed.index("self._kill = True") < killed.index("self._is_paused = True")
    assert "target=make_target(self.assoc._serve_request)" in inspect.getsource(
        DIMSEServiceProvider.receive_primitive
    )
    assert "self._is_paused = False" in inspect.getsource(Association._serve_request)


def test_a_server_has_what_is_used_of_it() -> None:
    assert callable(RequestHandler._create_association)
    assert callable(AssociationSocket._shutdown_socket)
    assert "self._is_connected is False" in inspect.getsource(AssociationSocket.close)
    assert isinstance(inspect.getattr_static(AssociationSocket, "ready"), property)
    parameters = inspect.signature(ThreadedAssociationServer.__init__).parameters
    assert "request_handler" in parameters
    handled = inspect.getsource(RequestHandler.handle)
    assert handled.index("_create_association") < handled.index("assoc.start()")
    assert list(inspect.signature(AE._create_socket).parameters) == [
        "self", "assoc", "address", "tls_args",
    ]  # fmt: skip


def test_switches_and_tables_are_where_they_are_set_and_read() -> None:
    for name in (
        "LOG_HANDLER_LEVEL", "LOG_REQUEST_IDENTIFIERS", "LOG_RESPONSE_IDENTIFIERS",
        "STORE_SEND_CHUNKED_DATASET",
    ):  # fmt: skip
        assert hasattr(_config, name)
    assert "1.2.840.10008.5.1.4.1.1.2" in sop_class._STORAGE_CLASSES.values()


def test_time_outs_do_not_hear_of_a_step_of_the_wall_clock(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    ae = AE()
    ae.add_requested_context(VERIFICATION)
    with running_pacs() as pacs:
        for port in (node.port, pacs.port):
            association = ae.associate("127.0.0.1", port, ae_title="WETREAD")
            assert association.send_c_echo().Status == 0
            now = time.time()
            monkeypatch.setattr(time, "time", lambda now=now: now + 86_400)
            time.sleep(0.5)
            assert association.is_established
            assert association.send_c_echo().Status == 0
            association.release()


PROVEN = {
    "_accepted_cx", "_config", "_create_association", "_create_socket", "_globals",
    "_idle_timer", "_is_transport_event", "_kill_thread", "_process_recv_primitive",
    "_reactor_checkpoint", "_read_pdu_data", "_recv_pdu", "_run_loop_delay", "_sent_abort",
    "_serve_request", "_shutdown_socket", "_STORAGE_CLASSES", "_decode_pdu", "_send",
    "_is_connected", "_kill",
}  # fmt: skip
"""The private names that the tests above pin."""


def test_no_other_private_name_of_pynetdicom_is_used() -> None:
    used = {
        f"{path.name}: {name}"
        for path in PACKAGE.rglob("*.py")
        for name in _private_names_of_others(path)
        if _is_of_pynetdicom(name) and name not in PROVEN
    }
    assert used == set()


def _private_names_of_others(path: Path) -> set[str]:
    """Private attributes that are used in a module which does not define them itself."""
    source = path.read_text()
    names = {
        one.attr
        for one in ast.walk(ast.parse(source))
        if isinstance(one, ast.Attribute) and one.attr[:1] == "_" and one.attr[:2] != "__"
    }
    return {name for name in names if f"self.{name} = " not in source} - {
        name for name in names if f"self.{name}: " in source or f"def {name}(self" in source
    }


def _is_of_pynetdicom(name: str) -> bool:
    """Whether pynetdicom defines a name: as a function, or as an attribute of an instance."""
    folder = Path(pynetdicom.__file__).parent
    marks = (f"self.{name} = ", f"self.{name}: ", f"def {name}(")
    sources = (path.read_text() for path in folder.glob("*.py"))
    return any(mark in source for source in sources for mark in marks)
