// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.PrintStream;

/** The help text. */
final class Usage {
    private static final String TEXT = """
            Usage: era-dmsetup [OPTIONS] COMMAND [ARGUMENTS]

            Mapped devices of the kernel, or of an engine in userspace, by dmsetup's commands:

              create NAME [-u UUID] [-j MAJOR -m MINOR] [-r] [-n | --table TABLE | FILE] [--attach]
                     [--enroll [--eratab FILE]]
              create --concise [SPECIFICATIONS]
              load | reload DEVICE [--table TABLE | FILE]
              clear DEVICE...
              suspend [--noflush] [--nolockfs] DEVICE...
              resume [--noflush] [--nolockfs] DEVICE...
              remove [-f] [--retry] [--deferred] DEVICE...
              remove_all [-f] [--deferred]
              rename DEVICE [--setuuid] NAME_OR_UUID
              wipe_table DEVICE...
              message DEVICE SECTOR MESSAGE
              status [--target TYPE] [--noflush] [--inactive] [--json] [DEVICE...]
              table [--target TYPE] [--inactive] [--showkeys] [--concise | --json] [DEVICE...]
              info [-c [-o FIELDS] [-O FIELDS] [--noheadings] [--separator TEXT] [--rows]
                       [--nameprefixes [--unquoted]] [--count TIMES] [--interval SECONDS]]
                       [--json] [DEVICE...]
              ls [--target TYPE] [--exec COMMAND] [--tree] [-o OPTIONS] [--json]
              deps [-o devno|devname|blkdevname] [DEVICE...]
              wait DEVICE [EVENT]
              mknodes [DEVICE...]
              mangle [DEVICE...]
              measure [DEVICE...]
              setgeometry DEVICE CYLINDERS HEADS SECTORS START
              splitname NAME [SUBSYSTEM]
              targets | target-version TYPE | version | udevflags COOKIE
              help [-c]

            and besides:

              activate | deactivate [--eratab FILE] NAME... | --all
                                     make devices of eratab(5), if all is right with them, or take them away
              checkpoint DEVICE      begin a new era, and print its number
              freeze DEVICE... --cow DIR [--nolockfs] [--json]
                                     views DEVICE@ERA of an engine's devices, all of one moment; print their names
              thaw VIEW...           remove views, and what they have kept in DIR
              monitor [--interval SECONDS] [--count TIMES] [--json] DEVICE
                                     show era, metadata and marked blocks as they change
              rollback CACHE --since ERA [--dry-run] -- COMMAND...
                                     roll back the volume beneath a cache, and keep what is still right in it
              uri DEVICE             print where NBD clients find an engine's device
              attach | detach DEVICE give an engine's device a node in /dev, or take it away
              engine [--state DIR] [--nbd [SOCKET,][tcp:HOST:PORT]] [--nbd-tls DIR | --nbd-plain]
                     [--log-level LEVEL] [--detach]

            A DEVICE is a name, -u UUID, or -j MAJOR -m MINOR. A TABLE has a line for each target: start and length
            in sectors of 512 bytes, the target's type, its arguments. Without one it is read from standard input.

            --control kernel|engine|SOCKET chooses the device-mapper; without it, $ERA_CONTROL does; without that, the
            engine if one answers, else the kernel. -v says which. See era-dmsetup(8).
            """;

    private Usage() {}

    static void print(PrintStream out) {
        out.print(TEXT);
    }
}
