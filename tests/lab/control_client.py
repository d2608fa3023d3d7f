"""Steers runs of Workgate with the QMP client that QEMU's own people use: the package qemu.qmp of PyPI, unchanged.

usage: control_client.py WORKGATE PLAN

Prints one line for each thing that held. Status 1, with a traceback, if one did not.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile

from qemu.qmp import ExecuteError, QMPClient


def held(what):
    print(f"held: {what}", flush=True)


# Whatever becomes of this client, no run is left behind.
RUNS = []


def start(workgate, plan, path):
    """A run in the simulator that waits for `cont`."""
    command = [workgate, "run", plan, "--machine", "sim", "--json", "--control", path, "--paused"]
    run = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    RUNS.append(run)
    return run


async def connected(run, path):
    """The client, as soon as the socket is there."""
    while not os.path.exists(path):
        if run.poll() is not None:
            raise RuntimeError(f"workgate ended with status {run.returncode} before it had a socket")
        await asyncio.sleep(0.01)
    client = QMPClient("lab")
    await client.connect(path)
    return client


async def refused(client, kind, command, arguments=None):
    try:
        await client.execute(command, arguments)
    except ExecuteError as error:
        assert error.error_class == kind, error
        return str(error)
    raise AssertionError(f"{command} was not refused")


async def removal(workgate, plan, path):
    """Stops a run, takes a card away by hand, lets it go on, and hears the verdict."""
    run = start(workgate, plan, path)
    client = await connected(run, path)
    names = {entry["name"] for entry in await client.execute("query-commands")}
    assert {"stop", "cont", "query-pci", "device_del", "x-workgate-fault"} <= names, names
    schema = await client.execute("query-qmp-schema")
    assert {entry["name"] for entry in schema if entry["meta-type"] == "command"} == names
    assert (await client.execute("query-status"))["status"] == "prelaunch"
    held("negotiation, query-commands, query-qmp-schema, query-status")

    await refused(client, "CommandNotFound", "blockdev-add")
    await refused(client, "DeviceNotFound", "device_del", {"id": "edu9"})
    hint = await refused(client, "GenericError", "x-workgate-fault", {"statement": "unplgu edu0"})
    assert "did you mean `unplug`?" in hint, hint
    held("errors of all classes are exceptions of the package")

    wanted = ("STOP", "RESUME", "DEVICE_DELETED", "SHUTDOWN", "X_WORKGATE_VERDICT")
    with client.listener(wanted) as events:
        await client.execute("x-workgate-until", {"time": "500us"})
        await client.execute("cont")
        assert (await events.get())["event"] == "RESUME"
        assert (await events.get())["event"] == "STOP"
        assert not (await client.execute("query-status"))["running"]
        await client.execute("device_del", {"id": "disk0"})
        await client.execute("cont")
        assert (await events.get())["event"] == "RESUME"
        # The plan takes edu0 away meanwhile.
        deleted = {}
        while deleted.get("device") != "disk0":
            event = await events.get()
            assert event["event"] == "DEVICE_DELETED", event
            deleted = event["data"]
        held("stop at a time, device_del, cont, DEVICE_DELETED")
        while (event := await events.get())["event"] != "X_WORKGATE_VERDICT":
            pass
        assert event["data"]["passed"], event
    out, _ = run.communicate()
    document = json.loads(out)
    assert run.returncode == 0 and document["verdict"]["passed"]
    # The server has closed the connection by now, or does so at any moment.
    try:
        await client.disconnect()
    except EOFError:
        pass
    assert not os.path.exists(path)
    held("SHUTDOWN, verdict, exit status, no socket left")


async def crowd(workgate, plan, path):
    """Several clients at once, some of which vanish."""
    run = start(workgate, plan, path)
    clients = [await connected(run, path) for _ in range(8)]
    answers = await asyncio.gather(*(client.execute("query-status") for client in clients))
    assert all(answer["status"] == "prelaunch" for answer in answers)
    for client in clients[1:]:
        await client.disconnect()
    await clients[0].execute("quit")
    run.communicate()
    assert run.returncode == 3, run.returncode
    try:
        await clients[0].disconnect()
    except EOFError:
        pass
    held("eight clients, seven of which leave")


def shell(workgate, plan, path):
    """qmp-shell, with a person's lines on its standard input: commands, then lines of the monitor for people."""
    run = start(workgate, plan, path)
    while not os.path.exists(path):
        assert run.poll() is None
    program = os.path.join(os.path.dirname(sys.executable), "qmp-shell")
    told = ""
    for options, lines in (
        ([], "query-status\nx-workgate-until event=io.done count=7\ndevice_del id=edu9\n"),
        (["-H"], "info pci\ncont\n"),
    ):
        done = subprocess.run([program, *options, path], input=lines, capture_output=True, text=True, check=False)
        told += done.stdout + done.stderr
    for part in ("prelaunch", "DeviceNotFound", "1234:11e8 edu0"):
        assert part in told, told
    client = asyncio.run(finished(path))
    run.communicate()
    assert (run.returncode, client) == (0, "paused"), (run.returncode, client)
    held("qmp-shell, and qmp-shell -H")


async def finished(path):
    """Lets a run that stops by itself go on; where it was."""
    client = QMPClient("lab")
    await client.connect(path)
    while (status := (await client.execute("query-status"))["status"]) == "running":
        await asyncio.sleep(0.01)
    await client.execute("cont")
    await client.disconnect()
    return status


def main():
    workgate, plan = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "control")
        try:
            asyncio.run(removal(workgate, plan, path))
            asyncio.run(crowd(workgate, plan, path))
            shell(workgate, plan, path)
        finally:
            for run in RUNS:
                run.kill()


main()
