"""The CEL engine without its command-line tool.

The package ``cel`` imports a whole terminal application when it is imported, which takes longer than all else that a
command of hoop does. Only its compiled module is needed, and is loaded here under its own name.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from types import ModuleType

_NAME = "cel.cel"


def _load() -> ModuleType:
    if _NAME in sys.modules:
        return sys.modules[_NAME]
    package = find_spec("cel")
    spec = PathFinder.find_spec(_NAME, package.submodule_search_locations) if package else None
    if spec is None or spec.loader is None:
        raise ImportError("the package common-expression-language is not installed", name="cel")
    module = sys.modules[_NAME] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_module = _load()
compile_expression = _module.compile
Context = _module.Context
