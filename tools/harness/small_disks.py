"""Small file systems in files, one for each node, which can be filled."""
import errno
import os
import shutil

from processes import Missed, run, wait_until


def why_no_small_disks():
    """Why none can be made here; None when they can."""
    if os.geteuid() != 0:
        return "needs root to mount a small file system"
    for program in ("mkfs.ext4", "mount"):
        if not shutil.which(program):
            return f"needs {program}"
    return None


class SmallDisk:
    """An ext4 of its own, mounted from a file until unmount()."""

    def __init__(self, folder, name, megabytes):
        image, self.point = folder / f"{name}.image", folder / f"{name}.disk"
        with image.open("wb") as file:
            file.truncate(megabytes << 20)
        self.point.mkdir()
        for command in (["mkfs.ext4", "-q", "-F", "-m", "0", image], ["mount", "-o", "loop", image, self.point]):
            code, _, error = run(command, 60)
            if code != 0:
                raise Missed(f"{command[0]}: {error.strip()}")

    @property
    def ballast(self):
        return self.point / "ballast"

    def fill(self, left_bytes=4 << 20):
        """Leaves about so much; 0: takes whatever there is."""
        with self.ballast.open("ab") as out:
            room = shutil.disk_usage(self.point).free - left_bytes
            try:
                os.posix_fallocate(out.fileno(), out.tell(), max(4096, room))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def free(self):
        self.ballast.unlink(missing_ok=True)

    def unmount(self):
        wait_until(lambda: run(["umount", self.point])[0] == 0, 20, f"unmount {self.point}")
