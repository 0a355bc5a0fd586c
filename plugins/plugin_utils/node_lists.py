# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that `kubectl get ... -o json` has written: the Node objects, DaemonSets and ConfigMaps in them."""

from __future__ import annotations

import json

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import mapping

KINDS = ("Node", "DaemonSet", "ConfigMap")


class NodeListError(ValueError):
    """A file that cannot be used. The text says why, without the path."""


def _documents(content: str):
    """The JSON values of a text, one after the other: several outputs of kubectl may have been written into one file."""
    decoder, position = json.JSONDecoder(), 0
    while True:
        while position < len(content) and content[position] in " \t\r\n":
            position += 1
        if position == len(content):
            return
        value, position = decoder.raw_decode(content, position)
        yield value


def _objects(value):
    """The objects in a document, a List of them, or an array of these. A List of a kind (NodeList) need not name it in its items."""
    waiting = [(value, None)]
    while waiting:
        item, kind = waiting.pop()
        if isinstance(item, list):
            waiting += [(inner, kind) for inner in reversed(item)]
        elif isinstance(mapping(item).get("items"), list):
            own = item.get("kind")
            inner_kind = own[:-4] if isinstance(own, str) and own != "List" and own.endswith("List") else kind
            waiting += [(inner, inner_kind) for inner in reversed(item["items"])]
        else:
            yield (mapping(item).get("kind") or kind), item


def read_objects(path: str) -> dict[str, list]:
    """The objects of a file by KINDS; others are left out. In a list, what is no object or says of no kind to be counts as a Node: it is used, or named.

    Raises NodeListError for a file that cannot be read or holds none of them.
    """
    try:
        with open(path, "rb") as handle:
            content = handle.read().decode("utf-8-sig")
        documents = [document for document in _documents(content) if isinstance(document, (dict, list))]
    except OSError as error:
        raise NodeListError(error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise NodeListError("not UTF-8") from error
    except RecursionError as error:
        raise NodeListError("nested too deeply") from error
    except ValueError as error:
        raise NodeListError(f"not JSON, as `kubectl get nodes -o json` writes it: {error}") from error
    found: dict[str, list] = {kind: [] for kind in KINDS}
    listed = False
    for document in documents:
        is_list = isinstance(document, list) or isinstance(mapping(document).get("items"), list)
        listed = listed or is_list
        for kind, item in _objects(document):
            if kind in KINDS:
                found[kind].append(item)
            elif not isinstance(item, dict) or (is_list and kind is None):
                found["Node"].append(item)
    if not listed and not any(found.values()):
        raise NodeListError("neither a List nor a Node object in it, as `kubectl get nodes -o json` writes them")
    return found


def find_object(objects: list, namespace: str, name: str) -> dict | None:
    """The last of OBJECTS with this namespace and name."""
    for item in reversed(objects):
        metadata = mapping(mapping(item).get("metadata"))
        if metadata.get("name") == name and metadata.get("namespace") == namespace:
            return item
    return None
