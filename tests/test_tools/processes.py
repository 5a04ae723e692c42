"""Real processes for tests, as copies of the one at hand: nothing need be imported again."""

import os
import time


def start(command, **environment):
    """Run a function in a child of this process, silently; return its number."""
    pid = os.fork()
    if pid:
        return pid
    status = 70
    os.environ.update(environment)
    try:
        with open(os.devnull, 'w') as sink:
            os.dup2(sink.fileno(), 1)
            os.dup2(sink.fileno(), 2)
        command()
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    finally:
        os._exit(status)


def wait_for(condition, seconds=60):
    deadline = time.time() + seconds
    while not condition():
        assert time.time() < deadline, 'the run does not get on'
        time.sleep(0.005)


def start_all(command, port, count=2):
    """Run a function in as many children, which a launcher of torch would have started."""
    group = dict(WORLD_SIZE=str(count), MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    return [start(command, RANK=str(rank), LOCAL_RANK=str(rank), **group) for rank in range(count)]


def exit_codes(pids):
    """Wait for children."""
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
