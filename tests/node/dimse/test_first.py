from tests.peers import dcmtk

def test_echo_and_send(node, images):
    dcmtk("echoscu", "127.0.0.1", str(node.port))
    out = dcmtk("dcmsend", "-v", "127.0.0.1", str(node.port), *images)
    assert len(node.records) == 5, out
