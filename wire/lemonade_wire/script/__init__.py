"""The language of client scripts, which client and testbed share: a parser for YAML or JSON, and the verbs.

Errors name the file and the line.
"""

from lemonade_wire.script.duration import format_duration, parse_duration
from lemonade_wire.script.script import (
    Account,
    Script,
    ScriptStep,
    UnknownExtensionError,
    dump_script,
    dump_steps,
    load_script,
    parse_script,
    parse_steps,
)
from lemonade_wire.script.verbs import VERBS, Verb
from lemonade_wire.script.yamltext import ScriptError, bind, load_yaml, load_yaml_file

__all__ = [
    "VERBS",
    "Account",
    "Script",
    "ScriptError",
    "ScriptStep",
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
