// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.dmsetup.ioctl.Words;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.dmsetup.targets.TableException;
import org.dmera.dmsetup.targets.Target;
import org.dmera.dmsetup.targets.TargetFactory;

/** Makes targets from table lines, with the kernel's checks, in its order, and its reasons in the log. */
final class TableLoader {
    private final List<TargetFactory> types;
    private final EngineLog log;

    TableLoader(List<TargetFactory> types, EngineLog log) {
        this.types = List.copyOf(types);
        this.log = log;
    }

    List<TargetFactory> types() {
        return types;
    }

    /**
     * Loads a table; what it has found is in its words.
     *
     * @param device how the log names the device, {@code major:minor}
     * @throws ErrnoException with the errno that the load answers; the reason is in the log
     */
    LoadedTable load(String device, DeviceRecord.Table words, TargetFactory.BackingOpener opener)
            throws ErrnoException {
        List<TargetSpec> specs = List.copyOf(words.lines());
        FoundBackings backings = new FoundBackings(opener);
        if (specs.isEmpty()) {
            throw refused(device, "populate_table", "no targets specified", Errno.EINVAL.number(), null);
        }
        List<TargetTable.Line> lines = new ArrayList<>();
        try {
            long next = 0;
            for (TargetSpec spec : specs) {
                Target target = loadLine(device, spec, next, backings);
                lines.add(new TargetTable.Line(spec.startSector(), spec.lengthSectors(), target));
                next += spec.lengthSectors();
            }
            return new LoadedTable(
                    new DeviceRecord.Table(words.readOnly(), specs, backings.found()), new TargetTable(lines));
        } catch (ErrnoException | RuntimeException | Error e) {
            Failures.after(e, () -> LoadedTable.closeAll(lines));
            throw e;
        }
    }

    /**
     * Looks again whether what is beneath all targets may be shared so, with the tables as they are.
     *
     * @throws ErrnoException as {@link #load}
     */
    void checkSharing(String device) throws ErrnoException {
        for (TargetFactory type : types) {
            try {
                type.checkSharing();
            } catch (TableException e) {
                throw refused(device, type.type(), e.getMessage(), e.errno(), e);
            }
        }
    }

    private Target loadLine(String device, TargetSpec spec, long expectedStart, TargetFactory.BackingOpener backings)
            throws ErrnoException {
        int einval = Errno.EINVAL.number();
        if (spec.lengthSectors() == 0) {
            throw refused(device, null, "zero-length target", einval, null);
        }
        TargetFactory type = type(spec.type());
        if (type == null) {
            throw refused(device, spec.type(), "unknown target type", einval, null);
        }
        if (spec.startSector() != expectedStart) {
            throw refused(device, spec.type(), "Gap in table", einval, null);
        }
        // Byte offsets must stay below 2^63; the kernel's own limit is a little lower still.
        if (spec.lengthSectors() < 0 || spec.lengthSectors() > Long.MAX_VALUE / 512 - expectedStart) {
            throw refused(device, spec.type(), "table is longer than 2^63 bytes", einval, null);
        }
        try {
            return type.load(spec.lengthSectors(), Words.split(spec.params()), backings);
        } catch (TableException e) {
            throw refused(device, spec.type(), e.getMessage(), e.errno(), e);
        } catch (ErrnoException e) {
            throw refused(device, spec.type(), e.getMessage(), e.errno(), e);
        } catch (IOException e) {
            throw refused(device, spec.type(), e.getMessage(), Errno.EIO.number(), e);
        }
    }

    private TargetFactory type(String name) {
        return types.stream()
                .filter(type -> type.type().equals(name))
                .findFirst()
                .orElse(null);
    }

    private ErrnoException refused(String device, String type, String reason, int errno, Throwable cause) {
        // What is wrong in the kernel's words, and then what exactly.
        Throwable why = cause == null ? null : cause.getCause();
        log.warn("table: " + device + ": " + (type == null ? "" : type + ": ") + reason + " (-" + Errno.name(errno)
                + ")" + (why == null ? "" : ": " + why.getMessage()));
        ErrnoException e = new ErrnoException("table of " + device + " refused: " + reason, errno);
        if (cause != null) {
            e.initCause(cause);
        }
        return e;
    }
}
