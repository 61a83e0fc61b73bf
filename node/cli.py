"""The ``wetread`` command. Imports what a command needs only when that command runs."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ConfigOption = Annotated[
    Path, typer.Option("--config", "-c", help="The file of settings.", envvar="WETREAD_CONFIG")
]
DEFAULT_CONFIG = Path("config.toml")
EXITS = {
    0: "done",
    1: "something is not well: a destination is silent, no rule fires, a job or a file failed, a"
    " result made again has other bytes",
    2: "it cannot be done, for the reason that stands on stderr",
    3: "the analyzer does not apply to the images",
    4: "not all that was found at a source has come",
    130: "stopped by Ctrl-C",
}
"""What a command's exit status says."""
_EXITS = "Exit status: " + "; ".join(f"{status} {words}" for status, words in EXITS.items()) + "."


def _like(example: str) -> str:
    return f"Example: {example}"


def main() -> None:
    """Run the command; a fault that a person can mend is said in its own words, without a trace."""
    from node.errors import NodeError
    from node.settling import end_at_once
    from storage.errors import StorageError

    end_at_once()
    try:
        app(prog_name="wetread")
    except (NodeError, StorageError) as error:
        _fail(str(error))
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(message: str) -> None:
    print(message, file=sys.stderr)
    sys.exit(2)


@app.callback(epilog=_EXITS)
def quiet_unless_wrong() -> None:
    """Wetread: a DICOM node that makes the first reading of a study."""
    from node.observe import logs

    logs.configure(None, "warning")


@app.command(epilog=_like("wetread serve --config /etc/wetread/config.toml"))
def serve(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Run the node in the foreground until Ctrl-C or SIGTERM."""
    from node.commands import serve as command

    command.serve(config)


@app.command(epilog=_like("wetread check --study FOLDER"))
def check(
    config: ConfigOption = DEFAULT_CONFIG,
    study: Annotated[
        Path | None,
        typer.Option(
            help="A folder with a study: show which rules would fire, and why not.", exists=True
        ),
    ] = None,
    destination: Annotated[
        str, typer.Option(help="A destination: ask what it takes, and show what it would get.")
    ] = "",
) -> None:
    """Check settings and whom they call, which rules a study fires, or what a destination gets."""
    from node.commands import destinations, inspect

    if destination:
        sys.exit(destinations.show(config, destination))
    if study is not None:
        sys.exit(inspect.show_routing(config, study))
    sys.exit(inspect.show_settings(config))


@app.command(epilog=_like("wetread status --limit 5 --json"))
def status(
    config: ConfigOption = DEFAULT_CONFIG,
    limit: Annotated[int, typer.Option(min=1, help="So many of the newest studies.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """List studies, their jobs and deliveries, and open alarms."""
    from node.commands import inspect

    inspect.show_status(config, limit, as_json)


@app.command(epilog=_like("wetread retry 17"))
def retry(
    job: Annotated[int, typer.Argument(help="The job's number, as `wetread status` shows it.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Send again what was refused of a job that came to an end, or run it again."""
    from node.commands import inspect

    sys.exit(inspect.retry(config, job))


@app.command(epilog=_like("wetread jobs again 17 --set sigma_mm=2.5 --beside"))
def jobs(
    what: Annotated[
        str,
        typer.Argument(help="list; or show, cancel or again, of a job; or new or now, of a study."),
    ] = "list",
    number: Annotated[
        int, typer.Argument(help="The job's or study's number, as `wetread status` shows it.")
    ] = 0,
    state: Annotated[str, typer.Option(help="Only those in this state: pending, failed, …")] = "",
    limit: Annotated[int, typer.Option(min=1, help="So many of the newest.")] = 50,
    analyzer: Annotated[str, typer.Option(help="Of a new job: see `wetread analyzers`.")] = "",
    parameter: Annotated[
        list[str] | None,
        typer.Option("--set", help="A parameter, as NAME=VALUE; more than once for more."),
    ] = None,
    to: Annotated[
        list[str] | None, typer.Option(help="A destination of a new job; more than once for more.")
    ] = None,
    beside: Annotated[
        bool, typer.Option("--beside", help="The earlier result keeps its place.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why; it stays in the record.")] = "",
    by: Annotated[
        str, typer.Option(help="Who wants it; left out: the user of this computer.")
    ] = "",
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """List jobs, show or cancel one, or have a study analyzed with other parameters, or at once."""
    from node.commands import jobs as command

    who, given = by or getpass.getuser(), parameter or []
    match what:
        case "list":
            sys.exit(command.show_jobs(config, state, limit))
        case "show":
            sys.exit(command.show_job(config, number))
        case "cancel":
            sys.exit(command.cancel(config, number, who, reason))
        case "again":
            sys.exit(command.again(config, number, given, who, beside))
        case "new":
            sys.exit(command.analyze(config, number, analyzer, given, to or [], who, beside))
        case "now":
            sys.exit(command.now(config, number, who))
        case _:
            _fail(f"{what!r} is none of list, show, cancel, again, new and now")


@app.command(epilog=_like("wetread queue suspend --reason 'the graphics card is changed'"))
def queue(
    what: Annotated[str, typer.Argument(help="show, suspend or resume.")] = "show",
    reason: Annotated[str, typer.Option(help="Why; it stays in the record.")] = "",
    by: Annotated[
        str, typer.Option(help="Who wants it; left out: the user of this computer.")
    ] = "",
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show whether jobs are started, suspend that, or let it go on; what runs goes on anyway."""
    from node.commands import jobs as command

    match what:
        case "show":
            sys.exit(command.show_queue(config))
        case "suspend":
            sys.exit(command.suspend(config, by or getpass.getuser(), reason))
        case "resume":
            sys.exit(command.resume(config, by or getpass.getuser()))
        case _:
            _fail(f"{what!r} is none of show, suspend and resume")


@app.command(epilog=_like("wetread rules 17"))
def rules(
    study: Annotated[int, typer.Argument(help="Its number, as `wetread status` shows it.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show what the rules would do with a stored study, and why; no job is made."""
    from node.commands import jobs as command

    sys.exit(command.show_rules(config, study))


@app.command(epilog=_like("wetread delete 17 --reason 'sent twice' --dry-run"))
def delete(
    study: Annotated[
        str, typer.Argument(help="Its number, as `wetread status` shows it, or its UID.")
    ],
    reason: Annotated[str, typer.Option(help="Why; it stays in the record.")] = "",
    results: Annotated[bool, typer.Option("--results", help="Only its result files.")] = False,
    undelivered: Annotated[
        bool, typer.Option("--undelivered", help="Also what was not delivered or committed to.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Delete a study with its images and results; never what is in work."""
    from node.commands import delete as command

    sys.exit(command.delete(config, study, reason, results, undelivered, dry_run))


@app.command(epilog=_like("wetread fetch --from pacs --accession A1 --analyze lung_segmentation"))
def fetch(
    source: Annotated[
        str, typer.Option("--from", help="An archive or destination of the settings, by its name.")
    ],
    accession: Annotated[str, typer.Option(help="The accession number.")] = "",
    patient: Annotated[str, typer.Option(help="The patient's ID.")] = "",
    study: Annotated[
        list[str] | None, typer.Option(help="A Study Instance UID; more than once for more.")
    ] = None,
    series: Annotated[
        list[str] | None, typer.Option(help="A Series Instance UID; more than once for more.")
    ] = None,
    date: Annotated[
        str, typer.Option(help="The study's date, 20260301, or a range, 20260301-20260307.")
    ] = "",
    modality: Annotated[str, typer.Option(help="Only series of this modality.")] = "",
    analyze: Annotated[
        str, typer.Option(help="An analyzer to run on what came, whatever the rules say.")
    ] = "",
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Have the running node fetch what another archive holds; Ctrl-C ends it."""
    from node.commands import fetch as command
    from storage.fetches import Wanted

    wanted = Wanted(accession, patient, tuple(study or ()), tuple(series or ()), date, modality)
    sys.exit(command.fetch(config, source, wanted, analyze))


@app.command(epilog=_like("wetread quarantine release job-17-0a1b2c3d --reason 'looked at'"))
def quarantine(
    what: Annotated[
        str, typer.Argument(help="list; or show or release, of a result that is named.")
    ] = "list",
    name: Annotated[str, typer.Argument(help="A refused result, as the list shows it.")] = "",
    reason: Annotated[str, typer.Option(help="Why it is released; it stays in the record.")] = "",
    by: Annotated[
        str, typer.Option(help="Who releases it; left out: the user of this computer.")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, help="So many images, the last seen first.")] = 50,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """List refused images and results, show what a result did not meet, or release it knowingly."""
    from node.commands import quarantine as command

    match what:
        case "list":
            sys.exit(command.show_list(config, limit))
        case "show":
            sys.exit(command.show(config, name))
        case "release":
            sys.exit(command.release(config, name, by or getpass.getuser(), reason))
        case _:
            _fail(f"{what!r} is none of list, show and release")


@app.command(epilog=_like("wetread viewer install --from ohif-app-3.13.2.tgz"))
def viewer(
    what: Annotated[str, typer.Argument(help="show, install or remove.")] = "show",
    tarball: Annotated[
        Path | None,
        typer.Option("--from", help="The package as a file; left out: npm fetches it."),
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Install the viewer OHIF for the node's pages, remove it, or say whether it is there."""
    from node.commands import viewer as command

    match what:
        case "show":
            sys.exit(command.show(config))
        case "install":
            sys.exit(command.install(config, tarball))
        case "remove":
            sys.exit(command.remove(config))
        case _:
            _fail(f"{what!r} is none of show, install and remove")


@app.command(epilog=_like("wetread user add ann --role operator"))
def user(
    what: Annotated[
        str, typer.Argument(help="list, add, passwd, lock, unlock or app-password.")
    ] = "list",
    name: Annotated[str, typer.Argument(help="Whom it is about.")] = "",
    role: Annotated[
        str, typer.Option(help="Of a new user, or app password: viewer, operator, administrator.")
    ] = "viewer",
    label: Annotated[str, typer.Option(help="For what an app password is.")] = "",
    host: Annotated[str, typer.Option(help="From which address or network; else any.")] = "",
    days: Annotated[int, typer.Option(help="When an app password ends.")] = 365,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Say who may log in, or make an app password; passwords are asked for, or read from stdin."""
    from node.commands import app_passwords
    from node.commands import users as command

    match what:
        case "list":
            sys.exit(command.show(config))
        case "add":
            sys.exit(command.add(config, name, role))
        case "passwd":
            sys.exit(command.set_password(config, name))
        case "lock":
            sys.exit(command.lock(config, name))
        case "unlock":
            sys.exit(command.unlock(config, name))
        case "app-password":
            sys.exit(app_passwords.make(config, name, role, label, host, days))
        case _:
            _fail(f"{what!r} is none of list, add, passwd, lock, unlock and app-password")


@app.command(epilog=_like("wetread accept 3 --study"))
def accept(
    number: Annotated[int, typer.Argument(help="As `wetread quarantine` shows it.")],
    study: Annotated[
        bool, typer.Option("--study", help="All images of its study that came with other bytes.")
    ] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Accept a correction: the newer bytes of an image take the place of those stored."""
    from node.commands import accept as command

    sys.exit(command.accept(config, number, study))


@app.command(epilog=_like("wetread retention"))
def retention(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Show what the settings would delete now, and when the disk will be full; deletes nothing."""
    from node.commands import delete as command

    sys.exit(command.show_retention(config))


@app.command(epilog=_like("wetread reindex"))
def reindex(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Rebuild the index from the stored files, while the node is stopped."""
    from node.commands import inspect

    sys.exit(inspect.reindex(config))


@app.command(epilog=_like("wetread reproduce 2.25.1234567890"))
def reproduce(
    uid: Annotated[
        str, typer.Argument(help="SOP Instance UID of a report, or any of its objects.")
    ],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Make a result again from what it was made from: same bytes, or what differs and why."""
    from node.commands import reproduce as command

    sys.exit(command.reproduce(config, uid))


@app.command(epilog=_like("wetread analyzers lung_segmentation --json"))
def analyzers(
    name: Annotated[
        str | None, typer.Argument(help="Tell all of this one; left out: list them.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """List the installed analyzers; or tell what one reads, gives, and by which parameters."""
    from node.commands import describe

    sys.exit(describe.show_analyzer(name, as_json) if name else describe.show_analyzers(as_json))


@app.command("new-analyzer", epilog=_like("wetread new-analyzer lung_air --into FOLDER"))
def new_analyzer(
    name: Annotated[str, typer.Argument(help="Lower case, digits, underscores: lung_nodule.")],
    into: Annotated[Path, typer.Option(help="The folder that gets it.")] = Path(),
) -> None:
    """Lay out the package of a new analyzer, with a test that passes."""
    from node.commands import new_analyzer as command

    sys.exit(command.new_analyzer(name, into))


@app.command(
    epilog=_like("wetread analyze FOLDER --analyzer gaussian_filter --set sigma_mm=2 --out OUT")
)
def analyze(
    folder: Annotated[Path, typer.Argument(exists=True, help="A folder with DICOM images.")],
    analyzer: Annotated[str, typer.Option(help="Its name, see `wetread analyzers`.")],
    out: Annotated[Path, typer.Option(help="Where the SEG, SR and series are written.")],
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    language: Annotated[str, typer.Option(help="Of what the results say: en or de.")] = "en",
    serial: Annotated[str, typer.Option(help="Serial number that the results name.")] = "",
    parameter: Annotated[
        list[str] | None,
        typer.Option("--set", help="A parameter, as NAME=VALUE; more than once for more."),
    ] = None,
) -> None:
    """Run one analyzer on a folder, without a network, for its author."""
    from node.commands import author

    given = parameter or []
    sys.exit(author.analyze(folder, analyzer, out, device, given, language, serial))


@app.command(epilog=_like("wetread train hippocampus_unet --data FOLDER --out MODELS --epochs 20"))
def train(
    name: Annotated[str, typer.Argument(help="A model; an unknown name lists those there are.")],
    data: Annotated[Path, typer.Option(help="Its training set: folder or file.", exists=True)],
    out: Annotated[Path, typer.Option(help="Where the model and its card are stored.")],
    epochs: Annotated[
        int | None, typer.Option(min=1, help="So many epochs, not the model's own.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of its chance, not the model's own.")
    ] = None,
    stop: Annotated[
        int, typer.Option(min=0, help="End after so many epochs, to go on later; 0: at the end.")
    ] = 0,
) -> None:
    """Train a model; run it again after an interruption and it goes on."""
    from node.commands import training

    sys.exit(training.train(name, data, out, epochs=epochs, stop=stop, seed=seed))


@app.command(epilog=_like("wetread evaluate pneumoniamnist --data FILE.npz"))
def evaluate(
    name: Annotated[
        str,
        typer.Argument(
            help="A model or a method by rules, or all; an unknown name lists those there are."
        ),
    ],
    data: Annotated[
        Path,
        typer.Option(
            help="A set to judge it on: folder or file; of all: a collection.", exists=True
        ),
    ],
    models: Annotated[Path | None, typer.Option(help="Where models are stored.")] = None,
) -> None:
    """Judge a model on the held-out part of a set, or a method by rules, or all there are."""
    from node.commands import training

    sys.exit(training.evaluate(name, data, models))


@app.command(epilog=_like("wetread password ct1 >> users.txt"))
def password(name: Annotated[str, typer.Argument(help="The user's name.")]) -> None:
    """Ask for a passcode and print the user's line for dimse.identity.users_file."""
    from node.dimse.association import identity

    passcode = typer.prompt("Passcode", hide_input=True, confirmation_prompt=True, err=True)
    try:
        print(identity.line_for(name, passcode))
    except ValueError as error:
        _fail(str(error))


@app.command(epilog=_like("wetread send FOLDER --to 127.0.0.1:11112 --aet WETREAD"))
def send(
    what: Annotated[
        str,
        typer.Argument(help="A folder with DICOM files; or a job's number, or a study's UID."),
    ],
    to: Annotated[
        str, typer.Option(help="HOST:PORT of the receiver; of results: a destination's name.")
    ],
    aet: Annotated[str, typer.Option(help="The receiver's AE title, for a folder.")] = "",
    calling_aet: Annotated[str, typer.Option(help="How the sender calls itself.")] = "WETREADSCU",
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Push a folder by C-STORE as a modality does, or send results that a destination now takes."""
    if aet:
        from node.commands import author

        folder = Path(what)
        if not folder.exists():
            _fail(f"{what}: there is no such folder")
        sys.exit(author.send(folder, to, aet, calling_aet))
    from node.commands import destinations

    sys.exit(destinations.send(config, what, to))
