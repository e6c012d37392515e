// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.Consumer;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.dmsetup.targets.Backing;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.dmsetup.targets.StorageAreas;
import org.dmera.dmsetup.targets.Target;

/**
 * A table in one of a device's two slots: the lines as they were loaded, and the targets made from them.
 *
 * <p>Status and messages may come at any time; closing waits for those that are under way, and those that come later
 * find the table closed.
 */
final class LoadedTable {
    private final DeviceRecord.Table words;
    private final TargetTable targets;
    private final ReentrantReadWriteLock closing = new ReentrantReadWriteLock();
    private boolean closed;

    LoadedTable(DeviceRecord.Table words, TargetTable targets) {
        this.words = words;
        this.targets = targets;
    }

    /** A table of one line, read only, whose target was not made from words. */
    static LoadedTable ofOne(Target target, long lengthBytes) {
        long lengthSectors = lengthBytes / TargetTable.SECTOR_BYTES;
        TargetSpec words = new TargetSpec(0, lengthSectors, target.type(), target.table());
        return new LoadedTable(
                new DeviceRecord.Table(true, List.of(words), List.of()),
                new TargetTable(List.of(new TargetTable.Line(0, lengthSectors, target))));
    }

    /** The lines in the words in which they were loaded, which is how they are loaded again after a restart. */
    DeviceRecord.Table words() {
        return words;
    }

    TargetTable targets() {
        return targets;
    }

    boolean readOnly() {
        return words.readOnly();
    }

    int count() {
        return targets.lines().size();
    }

    /** What is done with an open table; it answers something. */
    interface Use<T> {
        T with(TargetTable targets) throws IOException;
    }

    /** Does {@code use} unless the table is closed: then the answer is null. */
    <T> T use(Use<T> use) throws IOException {
        closing.readLock().lock();
        try {
            return closed ? null : use.with(targets);
        } finally {
            closing.readLock().unlock();
        }
    }

    /** Closes the targets, each even when another fails; the first failure is thrown. */
    void close() throws IOException {
        closing.writeLock().lock();
        try {
            if (closed) {
                return;
            }
            closed = true;
            closeAll(targets.lines());
        } finally {
            closing.writeLock().unlock();
        }
    }

    /** Closes it when another is in its place, whatever becomes of this. */
    void closeReplaced(EngineLog log, String device) {
        try {
            close();
        } catch (IOException | RuntimeException e) {
            log.error("closing the table of " + device + " that was replaced", e);
        }
    }

    static void closeAll(List<TargetTable.Line> lines) throws IOException {
        forEach(lines, Target::close);
    }

    /** Does {@code step} with every target, each even when another fails; the first failure is thrown. */
    private static void forEach(List<TargetTable.Line> lines, Failures.Use<Target> step) throws IOException {
        Failures failures = new Failures();
        for (TargetTable.Line line : lines) {
            failures.run(() -> step.with(line.target()));
        }
        failures.throwFirst();
    }

    /**
     * Tells every target that its table goes live; when one fails, {@code log} hears why, and those before it are
     * suspended again.
     */
    void resumeTargets(Consumer<String> log) throws IOException {
        List<Target> resumed = new ArrayList<>();
        for (TargetTable.Line line : targets.lines()) {
            try {
                line.target().resume();
                resumed.add(line.target());
            } catch (IOException | RuntimeException | Error e) {
                int errno = e instanceof ErrnoException withErrno ? withErrno.errno() : Errno.EIO.number();
                log.accept(line.target().type() + ": preresume failed, error = " + -errno + ": " + e.getMessage());
                resumed.forEach(target -> Failures.after(e, target::suspend));
                throw e;
            }
        }
    }

    /** Tells every target that the device is suspended, each even when another fails; the first failure is thrown. */
    void suspendTargets() throws IOException {
        forEach(targets.lines(), Target::suspend);
    }

    /** Tells every target that another table takes their place. */
    void replaced() {
        targets.lines().forEach(line -> line.target().replaced());
    }

    /** Makes every write that has returned durable beneath all targets, each even when another fails; the first failure is thrown. */
    static void sync(TargetTable targets) throws IOException {
        forEach(targets.lines(), Target::sync);
    }

    /** The lines as a table prints them ({@code asTable}) or with each target's status. */
    static List<TargetSpec> lines(TargetTable targets, boolean asTable) throws IOException {
        List<TargetSpec> lines = new ArrayList<>(targets.lines().size());
        for (TargetTable.Line line : targets.lines()) {
            Target target = line.target();
            lines.add(new TargetSpec(
                    line.startSector(),
                    line.lengthSectors(),
                    target.type(),
                    asTable ? target.table() : target.status()));
        }
        return lines;
    }

    /** Adds where a range of the device lies in the end. */
    void storage(long offsetBytes, long lengthBytes, StorageAreas areas) {
        long end = Math.min(offsetBytes + lengthBytes, targets.sizeBytes());
        if (offsetBytes >= end) {
            return;
        }
        targets.split(offsetBytes, end - offsetBytes, (target, offset, length) -> {
            target.storage(offset, length, areas);
            return true;
        });
    }

    /** What the targets sit on, in the order of opening. */
    static List<Backing> dependencies(TargetTable targets) throws IOException {
        List<Backing> backings = new ArrayList<>();
        for (TargetTable.Line line : targets.lines()) {
            backings.addAll(line.target().dependencies());
        }
        return backings;
    }
}
