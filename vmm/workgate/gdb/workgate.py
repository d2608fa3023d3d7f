"""Forward and back in a run of Workgate's simulator, with gdb.

    gdb -x workgate.py --args workgate replay FILE --stop-at alarm
    (gdb) wg-run

The simulated machine is this process: one thread of it runs all kernel threads, each on a fibre, and the same plan and schedule give the same
run. The program stands behind an event on the stack of the kernel thread that runs, so that gdb's own commands (bt, up, info locals, break) work
there as anywhere. Going back is running again: from the nearest checkpoint, a process forked earlier, to the event that is wanted.

Program and extension meet at a board of 64-bit words in the program's memory (vmm/sim/src/debug.rs), so that no debug information is needed.
"""

import atexit
import bisect
import json
import os
import re
import struct
import tempfile

import gdb

MAGIC = int.from_bytes(b"WGboard\0", "little")
VERSION = 1
WORDS = (
    "magic version number goal attached ask visited thread time hash diverged total whole directory"
    " view view_length index index_length"
).split()
NONE = (1 << 64) - 1
# Processes kept to go back to, at the most; and events between two of them, at the least.
CHECKPOINTS = 24
LEAST_STRIDE = 2000
# A program that says it has a longer text than this has gone wrong.
LONGEST = 256 << 20
# The kernel's directory of threads (guest-kernel/abi/src/threads.rs).
DIRECTORY = int.from_bytes(b"WGthread", "little")
CHUNKS_AT, CHUNKS, PLACES_OF, NAME_AT, NAME_BYTES = 32, 64, 256, 48, 48
STATES = {1: "running", 2: "runnable", 3: "waiting", 4: "ended"}
PLACES = {"sim::debug::begun": "begun", "sim::debug::stopped": "stopped", "sim::debug::here": "here", "sim::debug::ended": "ended"}
# Functions of the simulator in which a fibre stands still, and those from which a kernel thread's own functions are called.
INNERMOST = re.compile(r"^sim::(debug|decide|fibre)::|^core::hint::black_box")
OUTERMOST = re.compile(r"^sim::(fibre|hub|start|run)::|^corosensei::|^<?std::panic")


# What the linker's names end with, and the kind of an ELF section that has them.
HASH = re.compile("::h[0-9a-f]{16}$")
SYMTAB = 2


def older_registers():
    """The registers that every x86-64 has, by the feature in which gdb looks for them (gdb manual, G.5.7): names, bits, types."""
    general = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp"] + ["r%d" % n for n in range(8, 16)]
    core = [(name, 64, "data_ptr" if name in ("rbp", "rsp") else "int64") for name in general]
    core += [("rip", 64, "code_ptr"), ("eflags", 32, "int32")]
    core += [(name, 32, "int32") for name in ("cs", "ss", "ds", "es", "fs", "gs")]
    core += [("st%d" % n, 80, "i387_ext") for n in range(8)]
    core += [(name, 32, "int") for name in ("fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop")]
    sse = [("xmm%d" % n, 128, "uint128") for n in range(16)] + [("mxcsr", 32, "int32")]
    bases = [("fs_base", 64, "int"), ("gs_base", 64, "int")]
    return {"core": core, "sse": sse, "linux": [("orig_rax", 64, "int")], "segments": bases}


def leave_out_new_registers():
    """gdb before version 14 has no room for the registers of a processor with AMX, and Linux takes back all of them or none: it could call no function of the program,
    and so not fork it. Told that there are only the older ones, it moves these another way. The file that tells it, if there has to be one: gdb reads it at each run."""
    if int(gdb.VERSION.split(".")[0]) >= 14 or "amx_tile" not in words_of("/proc/cpuinfo"):
        return None
    features = ""
    for feature, registers in older_registers().items():
        lines = ["<reg name=\"%s\" bitsize=\"%d\" type=\"%s\"/>" % register for register in registers]
        features += "<feature name=\"org.gnu.gdb.i386.%s\">%s</feature>" % (feature, "".join(lines))
    text = "<target><architecture>i386:x86-64</architecture><osabi>GNU/Linux</osabi>%s</target>" % features
    file = tempfile.NamedTemporaryFile("w", prefix="workgate-", suffix=".xml")
    file.write(text)
    file.flush()
    atexit.register(file.close)
    gdb.execute("set tdesc filename %s" % file.name, to_string=True)
    return file


def words_of(path):
    try:
        with open(path) as file:
            return file.read().split()
    except OSError:
        return []


def memory(address, length):
    """Bytes of the program."""
    return gdb.selected_inferior().read_memory(address, length).tobytes()


def say(text):
    gdb.write(text + "\n")
    gdb.flush()


def symbols(path, names):
    """The linker's names of functions of a 64-bit ELF program: line tables, all that a build with optimisation has, know no paths."""
    with open(path, "rb") as file:
        program = file.read()
    at, size, count = struct.unpack_from("<Q", program, 40)[0], *struct.unpack_from("<HH", program, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", program, at + n * size) for n in range(count)]
    wanted = {"_ZN" + "".join("%d%s" % (len(part), part) for part in name.split("::")): name for name in names}
    found = {}
    for section in sections:
        if section[1] != SYMTAB:
            continue
        start, length = sections[section[6]][4:6]
        strings = program[start : start + length]
        for prefix in wanted:
            hit = strings.find(b"\0" + prefix.encode() + b"17h")
            if hit >= 0:
                found[wanted[prefix]] = strings[hit + 1 : strings.index(b"\0", hit + 1)].decode()
    return found


def break_at(names):
    """Breakpoints at functions, by their names or, where gdb does not know those, by the linker's."""
    points = [gdb.Breakpoint(function=name, qualified=True, internal=True) for name in names]
    if any(point.pending for point in points):
        program = gdb.current_progspace().filename
        linked = symbols(program, names) if program else {}
        for point in points:
            point.delete()
        if len(linked) < len(names):
            raise gdb.GdbError("this program has no names of functions, or is not workgate")
        points = [gdb.Breakpoint(linked[name], internal=True) for name in names]
    for point in points:
        point.silent = True
    return points


def full_name(frame):
    """The name of a frame's function with its path, where gdb knows it, or else by the linker's name; one that is inlined has none of those."""
    name = frame.name()
    if frame.type() == gdb.INLINE_FRAME or (name and "::" in name):
        return name
    # Behind a call that does not come back there may be another function.
    pc = frame.pc() - (1 if frame.level() > 0 else 0)
    told = gdb.execute("info symbol %#x" % pc, to_string=True)
    linked = told.partition(" in section ")[0].partition(" + ")[0]
    return HASH.sub("", linked) if " in section " in told else name


def place():
    """Where the program stands: begun, stopped, here, ended; None: somewhere else, or nowhere."""
    try:
        frame = gdb.newest_frame()
        while frame is not None and frame.type() == gdb.INLINE_FRAME:
            frame = frame.older()
        return PLACES.get(full_name(frame))
    except gdb.error:
        return None


def in_c(command):
    """What gdb says to a command that evaluates C inside, as those about checkpoints do."""
    language = gdb.parameter("language")
    gdb.execute("set language c", to_string=True)
    try:
        return gdb.execute(command, to_string=True)
    finally:
        gdb.execute("set language %s" % language, to_string=True)


class Checkpoint:
    """A process that stands where the run had recorded `number` events."""

    def __init__(self, fork, number):
        self.fork, self.number = fork, number


class Session:
    """What is known of the run."""

    def __init__(self):
        self.board_at = None
        self.index = None
        self.points = []
        self.description = None
        self.checkpoints = []
        self.stride = LEAST_STRIDE
        # gdb's number of the process of which the current one is a copy.
        self.parent = 0
        # Number of an event and the hash of the run up to there, wherever it has stood.
        self.hashes = {}
        # The extension itself lets the program run.
        self.drives = False

    # The board.

    def board(self):
        words = struct.unpack("<%dQ" % len(WORDS), memory(self.board_at, 8 * len(WORDS)))
        return dict(zip(WORDS, words))

    def write(self, word, value):
        place_of = self.board_at + 8 * WORDS.index(word)
        gdb.selected_inferior().write_memory(place_of, struct.pack("<Q", value))

    def text(self, word):
        board = self.board()
        if board[word + "_length"] > LONGEST:
            raise gdb.GdbError("the program's board is damaged")
        return memory(board[word], board[word + "_length"]).decode("utf-8", "replace")

    def view(self):
        """What there is to see where the run stands."""
        board = self.need()
        if not board["view_length"]:
            raise gdb.GdbError("the run has not begun: wg-stop-at EVENT goes there")
        view = json.loads(self.text("view"))
        if view["number"] != board["number"]:
            raise gdb.GdbError(
                "the program stands between two events, behind number %d: wg-stop-at %d goes to the next one"
                % (board["number"], min(board["number"] + 1, board["total"]))
            )
        return view

    # The program.

    def alive(self):
        return gdb.selected_inferior().pid != 0

    def need(self):
        if self.board_at is None or not self.alive():
            raise gdb.GdbError("no run: wg-run begins one")
        return self.board()

    def run(self):
        """Begins: up to where the index is complete."""
        self.forget()
        if not self.points:
            gdb.execute("set breakpoint pending on", to_string=True)
            self.points = break_at(PLACES)
        self.description = self.description or leave_out_new_registers()
        # Addresses of a run that begins again are those of the first.
        gdb.execute("set disable-randomization on", to_string=True)
        for point in self.points:
            point.enabled = True
        self.drives = True
        try:
            gdb.execute("run")
        finally:
            self.drives = False
        if not self.alive():
            # It has said itself what was wrong.
            return False
        if place() != "begun":
            raise gdb.GdbError("this is no `workgate replay FILE --stop-at EVENT`, or it stopped before its run began")
        self.board_at = int(gdb.newest_frame().read_register("rdi"))
        board = self.board()
        if board["magic"] != MAGIC or board["version"] != VERSION:
            self.board_at = None
            raise gdb.GdbError("the program is of another version than this extension")
        self.index = json.loads(self.text("index"))
        self.write("attached", 1)
        self.stride = max(LEAST_STRIDE, board["total"] // CHECKPOINTS)
        self.keep(0)
        return True

    def forget(self):
        self.board_at = None
        self.index = None
        self.checkpoints = []
        self.hashes = {}

    def resume(self):
        """Lets the program go on; where it came to, `gone` if it has ended."""
        self.drives = True
        try:
            gdb.execute("continue", to_string=True)
        finally:
            self.drives = False
        return place() if self.alive() else "gone"

    # Checkpoints: gdb forks the program.

    def keep(self, number):
        """Keeps the program as it stands now, and goes on as a copy. The kept one never runs, so that it can be returned to as often as one likes; and
        gdb cannot delete the first process of all, so that one must be kept."""
        kept = current_fork()
        self.checkpoints.append(Checkpoint(kept, number))
        self.checkpoints.sort(key=lambda point: point.number)
        self.copy()

    def copy(self):
        """The program becomes a copy of itself."""
        self.parent, before = current_fork(), forks()
        in_c("checkpoint")
        new = [fork for fork in forks() if fork not in before and fork != current_fork()]
        if not new:
            raise gdb.GdbError("gdb could not fork the program")
        in_c("restart %d" % new[-1])

    def nearest(self, number):
        """The latest checkpoint from which an event can still be reached."""
        fitting = [point for point in self.checkpoints if point.number < number or point.number == 0]
        return fitting[-1]

    def return_to(self, point):
        """The program becomes what it was at a checkpoint."""
        # gdb calls waitpid in the parent of a process that it deletes: that one first, then it need not turn to another one in between.
        left = current_fork()
        in_c("restart %d" % self.parent)
        in_c("delete checkpoint %d" % left)
        if point.fork != self.parent:
            in_c("restart %d" % point.fork)
        self.copy()

    # Going.

    def go(self, goal):
        """Goes to the place behind an event, from wherever the run is."""
        board = self.need()
        if not 1 <= goal <= board["total"]:
            raise gdb.GdbError("the run has no event %d: it has %d" % (goal, board["total"]))
        here, at = place(), board["number"]
        ahead = here != "ended" and (at < goal or (at == 0 and here == "begun"))
        point = self.nearest(goal)
        if not ahead or point.number > at:
            self.return_to(point)
        if ahead:
            return self.forward(goal)
        # What has been seen already is not where a breakpoint is to stop.
        passed = [point for point in gdb.breakpoints() if point.enabled and point not in self.points]
        for point in passed:
            point.enabled = False
        try:
            return self.forward(goal)
        finally:
            for point in passed:
                point.enabled = True

    def forward(self, goal):
        while True:
            at = self.board()["number"]
            last = max(point.number for point in self.checkpoints if point.number <= max(at, 1))
            step = min(goal, last + self.stride) if last + self.stride > at else goal
            self.write("goal", step)
            came = self.resume()
            if came == "gone":
                raise gdb.GdbError("the program has ended")
            if came not in ("stopped", "ended"):
                say("stopped on the way, behind event %d" % self.board()["number"])
                return False
            board = self.board()
            self.compare(board)
            if board["number"] >= goal or came == "ended":
                return True
            if all(point.number != board["number"] for point in self.checkpoints):
                self.keep(board["number"])

    def compare(self, board):
        """The same place of the same run has the same past."""
        before = self.hashes.setdefault(board["number"], board["hash"])
        if before != board["hash"] or board["diverged"]:
            event = board["diverged"] or board["number"]
            say("NOT THE SAME RUN: by event %d it is another one than before" % event)
            raise gdb.GdbError("the run cannot be repeated, so what this shows is not what came before the alarm")

    # Sites.

    def numbers(self, site):
        """Events at a site: a function from a position to a number, and how many they are."""
        found = self.index["places"].get(site)
        if not found:
            words = sorted((count, word) for word, (_, count) in self.index["places"].items())
            told = ", ".join("%s (%d)" % (word, count) for count, word in words[:40])
            raise gdb.GdbError("`%s` never happens in this run; what does: %s%s" % (site, told, ", …" if len(words) > 40 else ""))
        address, count = found
        return List(address, count)

    def before(self, site, number):
        numbers = self.numbers(site)
        nth = bisect.bisect_left(numbers, number)
        if nth == 0:
            raise gdb.GdbError("`%s` happens %d times, never before event %d; first behind event %d" % (site, len(numbers), number, numbers[0]))
        return numbers[nth - 1]

    def after(self, site, number):
        numbers = self.numbers(site)
        nth = bisect.bisect_right(numbers, number)
        if nth == len(numbers):
            raise gdb.GdbError("`%s` happens %d times, never behind event %d; last at event %d" % (site, len(numbers), number, numbers[-1]))
        return numbers[nth]

    def event(self, text):
        """The number of an event: N, SITE or SITE#N."""
        text = text.strip()
        if re.fullmatch(r"[0-9]+", text):
            return int(text)
        site, _, nth = text.partition("#")
        if nth and not re.fullmatch(r"[1-9][0-9]*", nth):
            raise gdb.GdbError("expected the number of an event, or a word with #N, such as willTerminate#2 or alarm")
        numbers, nth = self.numbers(site), int(nth or 1)
        if nth > len(numbers):
            raise gdb.GdbError("`%s` happens %d times in this run" % (site, len(numbers)))
        return numbers[nth - 1]

    # Telling.

    def tell(self):
        """Where the run stands."""
        board = self.need()
        number = board["number"]
        where = "the run is over" if place() == "ended" else "behind event %d of %d" % (number, board["total"])
        try:
            view = self.view()
        except gdb.GdbError:
            return say(where)
        say("%s, plan time %d ns" % (where, view["plan_time"]))
        if view["events"]:
            say(view["events"][-1])
        for alarm in self.index["alarms"]:
            if alarm["number"] == number:
                say("ALARM %s: %s" % (alarm["rule"], alarm["message"]))

    def known(self):
        """What the kernel publishes of its threads, by number: state, priority, the priority that was asked for, the event and the lock's owner for
        which it waits, its policy."""
        at, found = self.board()["directory"], {}
        if not at:
            return found
        head = memory(at, CHUNKS_AT + 8 * CHUNKS)
        if int.from_bytes(head[:8], "little") != DIRECTORY or int.from_bytes(head[8:12], "little") != VERSION:
            return found
        for chunk in struct.unpack_from("<%dQ" % CHUNKS, head, CHUNKS_AT):
            if not chunk:
                break
            for place_of in struct.unpack("<%dQ" % PLACES_OF, memory(chunk, 8 * PLACES_OF)):
                if place_of:
                    entry = memory(place_of, NAME_AT + 3 * NAME_BYTES)
                    number, state, priority, base, _, _, event, lock, owner = struct.unpack_from("<IBBBBQQQI", entry)
                    policy = entry[NAME_AT + 2 * NAME_BYTES:].split(b"\0")[0].decode("utf-8", "replace")
                    found[number] = (STATES.get(state, "?"), priority, base, event, lock and owner, policy)
        return found

    def name(self, thread):
        for known in self.view()["threads"]:
            if known["thread"] == thread:
                return known["name"]
        return "#%d" % thread

    def thread(self, text):
        """The number of a thread: N, NAME or NAME#N."""
        threads = self.view()["threads"]
        text = text.strip()
        if not text:
            return self.board()["thread"]
        fitting = [t for t in threads if text in (str(t["thread"]), t["name"], t["name"].split("#")[0])]
        if len(fitting) == 1:
            return fitting[0]["thread"]
        if fitting:
            raise gdb.GdbError("which one? " + ", ".join(t["name"] for t in fitting))
        raise gdb.GdbError("no thread `%s`; there are: %s" % (text, ", ".join(t["name"] for t in threads)))

    def visit(self, ask, each):
        """Lets gdb stand on the stack of a thread, or of all, and calls `each` there with its number."""
        self.write("ask", ask)
        while True:
            came = self.resume()
            if came == "here":
                each(self.board()["visited"])
            elif came == "stopped":
                return
            else:
                raise gdb.GdbError("stopped on the way to another thread's stack: by a breakpoint?")

    def stand(self):
        """Back to the thread that runs, if gdb looks at another one."""
        self.need()
        if place() == "here":
            self.resume()
        if place() not in ("stopped", "ended"):
            raise gdb.GdbError("the program stands between two events: wg-stop-at EVENT goes to one")


class List:
    """Numbers of events in the program's memory."""

    def __init__(self, address, count):
        self.address, self.count = address, count

    def __len__(self):
        return self.count

    def __getitem__(self, nth):
        nth = nth + self.count if nth < 0 else nth
        return struct.unpack("<I", memory(self.address + 4 * nth, 4))[0]


def forks():
    """gdb's numbers of the processes that it keeps."""
    listed = gdb.execute("info checkpoints", to_string=True)
    return [int(found) for found in re.findall(r"^[* ] ([0-9]+) ", listed, re.M)]


def current_fork():
    """gdb's number of the process that it looks at."""
    found = re.search(r"^\* ([0-9]+) ", gdb.execute("info checkpoints", to_string=True), re.M)
    return int(found.group(1)) if found else 0


def backtrace():
    """The stack at which gdb looks, without what is the simulator's own: bt shows that, too."""
    frame, lines = gdb.newest_frame(), []
    while frame is not None:
        name = full_name(frame)
        if name and lines and OUTERMOST.match(name):
            break
        line = frame.find_sal()
        at = ""
        if line.symtab is not None:
            at = " at %s:%d" % (os.path.join(*line.symtab.filename.split("/")[-3:]), line.line)
        if name and not INNERMOST.match(name):
            lines.append("    %s%s" % (name, at))
        try:
            frame = frame.older()
        except gdb.error:
            break
    return lines


SESSION = Session()


def describe(thread, known):
    """A thread in a line: what the trace tells of it, and what the kernel's scheduler knows."""
    entered = " > ".join(thread["stack"]) or "nothing entered"
    state = thread["state"]
    if known:
        _, priority, base, event, owner, policy = known
        state += ", priority %d (base %d, %s)" % (priority, base, policy)
        if owner:
            state += ", wants a lock of %s" % SESSION.name(owner)
        elif event:
            state += ", for event %#x" % event
    return "%s: %s, since %d ns: %s" % (thread["name"], state, thread["since"], entered)


class Command(gdb.Command):
    """A command of the extension."""

    NAME = None

    def __init__(self):
        super().__init__(self.NAME, gdb.COMMAND_RUNNING)
        self.dont_repeat()

    def invoke(self, argument, _from_tty):
        pagination = gdb.parameter("pagination")
        gdb.execute("set pagination off", to_string=True)
        try:
            self.do(argument.strip())
        finally:
            gdb.execute("set pagination %s" % ("on" if pagination else "off"), to_string=True)


class Run(Command):
    """Begin the run, and go to the event that --stop-at names."""

    NAME = "wg-run"

    def do(self, _):
        if SESSION.run():
            SESSION.go(SESSION.board()["goal"])
            SESSION.tell()


class StopAt(Command):
    """wg-stop-at EVENT: go to the place behind an event, forward or back. EVENT is a number, a word, or WORD#N, such as alarm or willTerminate#2."""

    NAME = "wg-stop-at"

    def do(self, argument):
        if not argument:
            raise gdb.GdbError("which event? expected a number, or a word with #N, such as willTerminate#2 or alarm")
        SESSION.need()
        if SESSION.go(SESSION.event(argument)):
            SESSION.tell()


class Next(Command):
    """wg-next SITE: go to the next event at a site, such as gate.close or edu0.willTerminate; without one, to the next event."""

    NAME = "wg-next"

    def do(self, argument):
        at = SESSION.need()["number"]
        if SESSION.go(SESSION.after(argument, at) if argument else at + 1):
            SESSION.tell()


class Back(Command):
    """wg-back [EVENT]: go back to an earlier event; without one, to the one before this."""

    NAME = "wg-back"

    def do(self, argument):
        at = SESSION.need()["number"]
        goal = SESSION.event(argument) if argument else at - 1
        if goal > at or (goal == at and place() == "stopped"):
            raise gdb.GdbError("event %d does not lie behind us: the run has come to %d; wg-stop-at goes forward" % (goal, at))
        if goal < 1:
            raise gdb.GdbError("there is no earlier event")
        if SESSION.go(goal):
            SESSION.tell()


class BackTo(Command):
    """wg-back-to SITE: go back to the latest earlier event at a site, such as removal, gate.close or edu0.io.issue."""

    NAME = "wg-back-to"

    def do(self, argument):
        if not argument:
            raise gdb.GdbError("which site? expected a word of the trace, such as removal or gate.close")
        at = SESSION.need()["number"]
        if SESSION.go(SESSION.before(argument, at)):
            SESSION.tell()


class Where(Command):
    """Tell where the run stands."""

    NAME = "wg-where"

    def do(self, _):
        SESSION.tell()


class Events(Command):
    """wg-events [N]: the last events, 20 if not said otherwise."""

    NAME = "wg-events"

    def do(self, argument):
        if argument and not re.fullmatch(r"[1-9][0-9]{0,8}", argument):
            raise gdb.GdbError("how many? expected a number")
        for line in SESSION.view()["events"][-int(argument or 20):]:
            say(line)


class Threads(Command):
    """wg-threads: all kernel threads, what they have entered, and their stacks. wg-threads brief: without the stacks."""

    NAME = "wg-threads"

    def do(self, argument):
        view = SESSION.view()
        stacks = {}
        if argument != "brief":
            if place() != "ended":
                SESSION.stand()
                stacks[SESSION.board()["thread"]] = backtrace()
                SESSION.visit(NONE, lambda thread: stacks.setdefault(thread, backtrace()))
        known = SESSION.known() if place() != "ended" else {}
        for thread in view["threads"]:
            say(describe(thread, known.get(thread["thread"])))
            for line in stacks.get(thread["thread"], []):
                say(line)


class Backtrace(Command):
    """wg-bt [THREAD]: the stack of a thread: its number, its name, or NAME#NUMBER; the one that runs if none is named."""

    NAME = "wg-bt"

    def do(self, argument):
        SESSION.stand()
        thread = SESSION.thread(argument)
        said = []
        if thread == SESSION.board()["thread"]:
            said = backtrace()
        else:
            SESSION.visit(thread, lambda _: said.extend(backtrace()))
        say(SESSION.name(thread))
        say("\n".join(said) if said else "    it has not run yet, or has ended")


class Thread(Command):
    """wg-thread [THREAD]: stand on the stack of a thread, for up, info locals and the like; without one, on that of the thread that runs."""

    NAME = "wg-thread"

    def do(self, argument):
        SESSION.stand()
        thread = SESSION.thread(argument)
        if thread != SESSION.board()["thread"]:
            SESSION.write("ask", thread)
            if SESSION.resume() != "here":
                raise gdb.GdbError("thread %d has no stack: it has not run yet, or has ended" % thread)
        gdb.execute("bt 12")


class Gates(Command):
    """The gates that somebody has, waits for, or sleeps in."""

    NAME = "wg-gates"

    def do(self, _):
        gates = SESSION.view()["gates"]
        for gate in gates:
            parts = ["%s has it" % gate["owner"] if gate["owner"] else "open"]
            if gate["waiters"]:
                parts.append("waiting: " + ", ".join(gate["waiters"]))
            if gate["sleepers"]:
                parts.append("asleep in it: " + ", ".join(gate["sleepers"]))
            say("%s: %s" % (gate["gate"], "; ".join(parts)))
        if not gates:
            say("every gate is open, and nobody waits for one")


class RegistryOf(Command):
    """The IOKit registry, and how far each device's stack is."""

    NAME = "wg-registry"

    def do(self, _):
        view = SESSION.view()
        gdb.write(view["registry"])
        for device in view["devices"]:
            say("%s: %s, %d requests in flight" % (device["name"], device["phase"], device["in_flight"]))


class Alarms(Command):
    """The oracles' alarms of the whole run, with the events at which they are raised."""

    NAME = "wg-alarms"

    def do(self, _):
        SESSION.need()
        for alarm in SESSION.index["alarms"]:
            say("%d %s: %s" % (alarm["number"], alarm["rule"], alarm["message"]))
        if not SESSION.index["alarms"]:
            say("no oracle raises an alarm in this run")


def came(event):
    """The program stopped by itself, at one of the extension's places: its breakpoints say nothing."""
    if SESSION.drives or SESSION.board_at is None or not isinstance(event, gdb.BreakpointEvent):
        return
    if place() in ("stopped", "ended"):
        SESSION.tell()


gdb.events.stop.connect(came)
for command in (Run, StopAt, Next, Back, BackTo, Where, Events, Threads, Backtrace, Thread, Gates, RegistryOf, Alarms):
    command()
