"""YAML, in which a key stands once in a mapping."""

from __future__ import annotations

from typing import Any, Final

import yaml

# libyaml's reader is ten times faster; not every build of PyYAML has it
FASTEST: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Strict(FASTEST):  # type: ignore[misc]  # its base is chosen as the module is read
    """Refuses a key that stands twice, of which the standard loader keeps the last without a word."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """A mapping."""
        names = [str(key.value) for key, _ in node.value]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise yaml.constructor.ConstructorError(None, None, f"{twice} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def load(text: str, file_name: str, faults: list[str]) -> dict[str, Any]:
    """A document that is a mapping; empty where it is none, which is added to the faults."""
    try:
        document = yaml.load(text, Loader=_Strict)
    except yaml.YAMLError as error:
        faults.append(f"{file_name}: is no YAML ({' '.join(str(error).split())})")
        return {}
    if not isinstance(document, dict):
        faults.append(f"{file_name}: is no mapping")
        return {}
    return document
