"""The client's step language: read from YAML or JSON, checked with file and line, shared by client and testbed."""

from lemonade_wire.script.duration import format_duration, parse_duration
from lemonade_wire.script.script import Account, Script, dump_script, load_script, parse_script
from lemonade_wire.script.steps import Step, UnknownExtensionError, dump_steps, parse_steps
from lemonade_wire.script.verbs import VERBS, Verb
from lemonade_wire.script.yamltext import ScriptError, bind, load_yaml, load_yaml_file

__all__ = [
    "VERBS",
    "Account",
    "Script",
    "ScriptError",
    "Step",
    "UnknownExtensionError",
    "Verb",
    "bind",
    "dump_script",
    "dump_steps",
    "format_duration",
    "load_script",
    "load_yaml",
    "load_yaml_file",
    "parse_duration",
    "parse_script",
    "parse_steps",
]
