"""What multiprocessing leaves: trackers, managers, pools, shared memory, semaphores."""
import multiprocessing
import os
import signal
import time
from multiprocessing import resource_tracker, shared_memory

from attack import left, refused, seconds_passed, through


def outlive(name):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.setsid()
    while seconds_passed() < 15:
        time.sleep(0.1)
    through(f"{name} outlived its command by 15 s")


def main():
    kept = []
    for method in ("fork", "spawn", "forkserver"):
        try:
            context = multiprocessing.get_context(method)
            process = context.Process(target=outlive, args=(f"a process by {method}",))
            process.start()
            kept.append(process)
            kept.append(context.Semaphore(3))
            kept.append(context.Queue())
        except OSError as error:
            refused(f"multiprocessing by {method}", error)
    try:
        kept.append(multiprocessing.Manager())
        kept.append(multiprocessing.Pool(4))
        block = shared_memory.SharedMemory("taskmint-attack", create=True, size=1 << 20)
        resource_tracker.unregister(block._name, "shared_memory")
        kept.append(block)
    except FileExistsError:
        through("shared memory of an earlier run is here")
    except OSError as error:
        refused("a manager, a pool or shared memory", error)
    left(f"{len(kept)} kept objects of multiprocessing, and 3 processes that outlive this one")
    os._exit(0)


if __name__ == "__main__":
    main()
