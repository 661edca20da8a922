"""The command reference and the frozen list of options, made from the commands themselves.

Run this file to write both anew; do so in the commit that changes an option.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pixel2style2pixel_cli.cli.app import root_command
from pixel2style2pixel_cli.cli.group import whole

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "commands.md"
FROZEN = Path(__file__).with_name("frozen_options.txt")

HEAD = """# Commands

Generated from the commands by `python tests/cli/command_reference.py`; a test compares the two.

Every command also has `--help`. `p2s2p --version` prints the version, `p2s2p --install-completion` sets up the shell.
"""

TAIL = """## Exit codes

| Code | Meaning |
| --- | --- |
| 0 | every output that was asked for exists |
| 1 | unexpected error: a bug, printed with a traceback |
| 2 | wrong usage: a bad option or configuration key, two outputs with one name, or an output that exists already |
| 3 | some inputs failed or had no face, the others were written; `--ignore-failures` makes it 0 |
| 4 | something needed is missing or damaged: model, landmark file, hash mismatch, licence not accepted |
| 5 | the device does not exist, or its memory is too small for a single face |
| 130, 143, 129 | interrupted by Ctrl-C, SIGTERM or SIGHUP; the command that resumes is printed |

An error is two lines on standard error: `error:` what was found, `hint:` what to type.

## Defaults: variables and files

A value is taken from the command line, else from an environment variable, else from `p2s2p.toml` in the working folder,
else from `p2s2p.toml` in the user's configuration folder. `--config FILE` replaces the two files. A file has a section
for each command, and the keys are the long names of the options:

```toml
[invert]
device = "cpu"
save-latents = true

[train.generator]
steps = 2000
[train.generator.set]
"run.batch" = 16
```

Unknown keys and wrong values are errors; all of them are reported at once. A path may begin with `~`, the home folder.
`--skip-existing` and `--overwrite` are only for the command line; a file says `existing = "skip"` or
`existing = "overwrite"`.

| Variable | Stands for |
| --- | --- |
| `P2S2P_INVERT_SAVE_LATENTS`, `P2S2P_TRAIN_GENERATOR_STEPS`, ... | any option of any command |
| `P2S2P_DEVICE`, `P2S2P_DTYPE` | `--device`, `--dtype` |
| `P2S2P_MODEL_INVERT` | `--model` of `invert` |
| `P2S2P_OFFLINE`, `HF_HUB_OFFLINE` | `--offline` of `models pull`; no other command opens a connection |
| `SLURM_ARRAY_TASK_ID`, `SLURM_PROCID`, `SKYPILOT_NODE_RANK` | `--shard`, in a job of several: [page](cluster.md) |
| `P2S2P_HOME` | the folder of models and caches |
| `P2S2P_ZOO` | another folder of model cards |
| `P2S2P_ACCEPT_LICENCE` | ids of licences accepted beforehand, with commas between them |
| `P2S2P_MIRROR` | a Hub repository, `org/repo`, that `models pull` tries first; the sha256 still has to be the card's |
| `HF_TOKEN`, `HF_ENDPOINT`, `HF_HOME` | login, address and settings of the Hugging Face Hub |
| `HF_HUB_DOWNLOAD_TIMEOUT`, `HF_HUB_ETAG_TIMEOUT` | how many seconds to wait for a server that does not answer |
| `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY` | a proxy at `http://`, not for SOCKS; hosts without |
| `SSL_CERT_FILE`, `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`, `SSL_CERT_DIR` | certificates; the first counts |
| `NO_COLOR`, `FORCE_COLOR` | colours |
"""


def render_reference() -> str:
    """The text of docs/commands.md."""
    return "\n".join([HEAD, *(_section(name, command) for name, command in commands() if name), TAIL])


def render_frozen() -> str:
    """One line per argument and option: command, spellings, value, default."""
    lines = []
    for name, command in commands():
        for parameter in command.params:
            words = [name or "p2s2p", *_spellings(parameter), parameter.metavar or ""]
            default = "" if _is_switch(parameter) or parameter.default is None else f"= {parameter.default}"
            required = "required" if parameter.required else ""
            lines.append(" ".join(word for word in (*words, default, required) if word))
    return "\n".join(lines) + "\n"


def commands(command: Any = None, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every command that does something, with the words that call it; the root comes first."""
    following = getattr(command, "inner", {})
    command = whole(command or root_command())
    inner = getattr(command, "commands", None)
    if not inner or not name:
        yield name, command
    for key, child in following.items():
        yield from commands(child, f"{name} {key}")
    for key, child in (inner or {}).items():
        yield from commands(child, f"{name} {key}".strip())


def _section(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    usage = " ".join(["p2s2p", name, *(f"{p.metavar}{'...' if p.nargs == -1 else ''}" for p in arguments), "[OPTIONS]"])
    lines = [f"## p2s2p {name}", "", command.help.strip(), "", "```", usage, "```", ""]
    lines += [f"- `{p.metavar}`: {p.help}" for p in arguments]
    for panel in dict.fromkeys(p.rich_help_panel for p in options):
        lines += ["", f"### {panel}", "", "| Option | Meaning | Default |", "| --- | --- | --- |"]
        lines += [_row(p) for p in options if p.rich_help_panel == panel]
    if command.epilog:
        examples = [line for line in command.epilog.splitlines() if line.startswith("p2s2p")]
        lines += ["", "Examples:", "", "```", *examples, "```"]
    return "\n".join(lines) + "\n"


def _row(parameter: Any) -> str:
    spellings = ", ".join(f"`{name}`" for name in _spellings(parameter))
    value = f" {parameter.metavar}" if parameter.metavar else ""
    text = parameter.help.replace("|", "\\|")
    return f"| {spellings}{value} | {text} | {_default(parameter)} |"


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if isinstance(parameter.show_default, str):
        return f"`{parameter.show_default}`"
    if parameter.secondary_opts:
        return f"`{(parameter.opts if parameter.default else parameter.secondary_opts)[0]}`"
    return "" if _is_switch(parameter) or parameter.default is None else f"`{parameter.default}`"


def _is_switch(parameter: Any) -> bool:
    return bool(getattr(parameter, "count", False) or (getattr(parameter, "is_flag", False) and not parameter.default))


def _spellings(parameter: Any) -> list[str]:
    return [*parameter.opts, *parameter.secondary_opts] if parameter.param_type_name == "option" else []


if __name__ == "__main__":
    DOCS.parent.mkdir(exist_ok=True)
    DOCS.write_text(render_reference(), encoding="utf-8", newline="\n")
    FROZEN.write_text(render_frozen(), encoding="utf-8", newline="\n")
