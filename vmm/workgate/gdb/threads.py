"""Names for the threads of a Workgate core.

    gdb -x threads.py guest.elf my.core

A Linux core has no place for the names of threads; Workgate keeps them in a note of its own (docs/debugging.md).
"""

import json
import struct

import gdb

NOTE_NAME = b"Workgate"
NOTE_TYPE = 0x100
PT_NOTE = 4


def notes(path):
    """The notes of an ELF core: name, type, descriptor."""
    with open(path, "rb") as core:
        head = core.read(64)
        table, size, count = struct.unpack_from("<Q", head, 32)[0], *struct.unpack_from("<HH", head, 54)
        for number in range(count):
            core.seek(table + number * size)
            kind, _, offset, _, _, length = struct.unpack("<IIQQQQ", core.read(40))
            if kind != PT_NOTE:
                continue
            core.seek(offset)
            data, at = core.read(length), 0
            while at + 12 <= len(data):
                name_length, length_of, type_of = struct.unpack_from("<III", data, at)
                name = data[at + 12 : at + 12 + name_length].rstrip(b"\0")
                begin = at + 12 + (name_length + 3) // 4 * 4
                yield name, type_of, data[begin : begin + length_of]
                at = begin + (length_of + 3) // 4 * 4


def core_file():
    """The core that gdb looks at."""
    is_core = False
    for line in gdb.execute("info files", to_string=True).splitlines():
        if line.startswith("Local core dump file"):
            is_core = True
        elif is_core and line.strip().startswith("`"):
            return line.strip()[1:].split("'")[0]
    return None


def name_threads(_=None):
    """Gives each thread its name, state and priority."""
    path = core_file()
    if not path:
        return
    for name, kind, data in notes(path):
        if (name, kind) != (NOTE_NAME, NOTE_TYPE):
            continue
        known = {thread["id"]: thread for thread in json.loads(data)["threads"]}
        for thread in gdb.selected_inferior().threads():
            told = known.get(thread.ptid[1])
            if told:
                thread.name = "%s (%s, priority %d)" % (told["name"], told["state"], told["priority"])


class NameThreads(gdb.Command):
    """Give the threads of a Workgate core their names."""

    def __init__(self):
        super().__init__("workgate-threads", gdb.COMMAND_STATUS)

    def invoke(self, _argument, _from_tty):
        name_threads()


NameThreads()
# The script may come before the core.
gdb.events.before_prompt.connect(name_threads)
name_threads()
