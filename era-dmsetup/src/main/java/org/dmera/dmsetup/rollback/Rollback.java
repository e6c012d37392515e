// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.rollback;

import java.io.Closeable;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.dmera.core.cache.StaleCacheBlocks;
import org.dmera.core.cache.WrittenSectors;
import org.dmera.core.file.FileClaim;
import org.dmera.core.file.Folders;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.tools.cli.Console;

/**
 * The rollback of the volume beneath a cache, with the cache never taken down.
 *
 * <p>The order is what makes it right (source: the kernel's documentation of the era target, and what was seen of dm-cache):
 * (1) write back what is dirty; (2) passthrough mode: reads and writes go to the origin, so every read is right whatever the
 * cache holds; (3) the user's command rolls the volume back; (4) the era device's metadata snapshot shows what was written
 * since; (5) the cache blocks that touch any of it are invalidated; (6) the suspended cache's metadata is read again:
 * nothing stale may be left; (7) the former table.
 *
 * <p>Passthrough is never loaded while a block is dirty: the kernel refuses to resume such a table, and the cache is empty
 * until another one is loaded. A new era device's snapshot is dropped in any case, also when this process is asked to
 * end. From step 2 to step 7 any failure leaves the cache in passthrough mode, and the record says where to go on.
 */
public final class Rollback implements Closeable {
    /** Receives the process of the user's command. */
    public interface Started {
        /** @param start when it began, in clock ticks since the system did; −1 when it has ended */
        void process(long pid, long start) throws IOException;
    }

    /** Runs the user's command. */
    public interface Command {
        /** @return its exit code */
        int run(Started started) throws IOException;
    }

    private final MappedCache cache;
    private final long since;
    private final Path recordFile;
    private final Consumer<String> log;
    private final Passthrough passthrough;
    private final Invalidation invalidation;
    private final FileChannel lockFile;
    /** Held during steps that must not be cut in two by an orderly end of the process. */
    private final ReentrantLock step = new ReentrantLock();

    private EraSide era;
    private RollbackRecord record;
    private boolean commandStarted;
    /** An earlier run has begun it, and may have started the command. */
    private boolean goesOn;

    /**
     * Prepares it; nothing is changed.
     *
     * @param folder for the record, made if it isn't there
     * @throws IOException when another rollback of the cache is under way
     */
    Rollback(MappedCache cache, long since, Path folder, Consumer<String> log, Console console) throws IOException {
        this.cache = cache;
        this.since = since;
        this.log = log;
        this.passthrough = new Passthrough(cache, log, console, this::whole);
        this.invalidation = new Invalidation(cache, since, log);
        Folders.make(folder, Folders.PRIVATE);
        recordFile = folder.resolve("rollback-" + cache.name());
        Path lock = folder.resolve("lock-" + cache.name());
        lockFile = FileChannel.open(lock, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        if (!FileClaim.takeForWriting(lockFile, lock)) {
            lockFile.close();
            throw new IOException("another rollback of " + cache.name() + " is under way");
        }
    }

    @Override
    public void close() throws IOException {
        lockFile.close();
    }

    /** The whole cycle. */
    void run(Command command, String commandText) throws IOException {
        RollbackRecord earlier = RollbackRecord.load(recordFile);
        goesOn = earlier != null;
        record = earlier;
        CacheTable live = goesOn ? released() : cache.table();
        examine(live, goesOn);
        if (!goesOn) {
            requireUntouched();
            whole(() -> note(RollbackRecord.begin(since, live)));
        } else if (!continueUnfinished(live)) {
            return;
        }
        try {
            if (!live.isPassthrough()) {
                passthrough.enter(live, record.former());
            }
            if (!record.commandDone()) {
                runCommand(command, commandText);
            }
            whole(() -> {
                long kept = invalidation.run(writtenSince());
                note(record.withInvalidated());
                leavePassthrough(kept);
            });
        } catch (IOException e) {
            if (!goesOn && !commandStarted && e.getSuppressed().length == 0) {
                Files.deleteIfExists(recordFile);
                throw e;
            }
            throw new IOException(e.getMessage() + alsoSaid(e) + howToGoOn(), e);
        } catch (RuntimeException | VirtualMachineError e) {
            // Whatever this is, those who use the device must not hang.
            howToGoOn();
            throw e;
        }
        Files.delete(recordFile);
    }

    /** The live table, once what the earlier run left suspended or loaded is in nobody's way. */
    private CacheTable released() throws IOException {
        requireSame(cache.table());
        cache.release();
        return cache.table();
    }

    /** Does {@code part}, which an orderly end of the process lets be finished. */
    private void whole(Failures.Step part) throws IOException {
        step.lock();
        try {
            part.run();
        } finally {
            step.unlock();
        }
    }

    /** @return whether anything is left to do */
    private boolean continueUnfinished(CacheTable live) throws IOException {
        if (record.invalidated() && !live.isPassthrough()) {
            log.accept("the rollback of " + cache.name() + " to era " + since + " that was begun had been finished:"
                    + " nothing is run now. For another one, give the same command again");
            Files.delete(recordFile);
            return false;
        }
        if (record.isCommandRunning()) {
            throw new IOException("the command of the run that was killed still works, as process "
                    + record.commandPid() + ": wait for it, and then run this again");
        }
        log.accept("going on with the rollback of " + cache.name() + " to era " + since + " that was begun");
        if (record.commandDone() && !live.isPassthrough()) {
            // Old blocks may have reached the volume since: only another rollback of it makes that good.
            log.accept("the cache is no longer in passthrough mode: the command is run again");
            note(record.withCommandDone(false));
        } else if (record.commandDone()) {
            log.accept("the command has succeeded, and is not run again");
        }
        era.dropOurs(record.snapshotBefore(), record.snapshotBlock());
        return true;
    }

    private static String alsoSaid(IOException e) {
        StringBuilder more = new StringBuilder();
        for (Throwable suppressed : e.getSuppressed()) {
            more.append(". And the former table could not be put back: ").append(suppressed.getMessage());
        }
        return more.toString();
    }

    /**
     * Lets the step that is under way be finished, and no other begin: for the end of the process. What is suspended is
     * resumed by then, the metadata snapshot dropped, and while the command has not been started, the former table put
     * back. The record of a rollback that an earlier run had begun stays.
     */
    void stop() {
        step.lock();
        if (record == null) {
            return;
        }
        try {
            if (!commandStarted && !record.commandDone() && !cache.table().isPassthrough()) {
                IOException failure = new IOException("interrupted");
                passthrough.undo(record.former(), failure);
                if (!goesOn && failure.getSuppressed().length == 0) {
                    Files.deleteIfExists(recordFile);
                }
                log.accept("interrupted" + alsoSaid(failure));
                return;
            }
        } catch (IOException e) {
            log.accept("interrupted: " + e.getMessage());
        }
        log.accept("interrupted" + howToGoOn());
    }

    /** Says every step with its figures, and changes nothing. */
    void rehearse(String commandText) throws IOException {
        CacheTable live = cache.table();
        examine(live, false);
        if (RollbackRecord.load(recordFile) != null) {
            log.accept("a rollback was begun and not finished: a run would go on with it");
        } else {
            requireUntouched();
        }
        CacheStatus status = cache.statusUncommitted();
        if (!live.isPassthrough()) {
            log.accept(
                    status.dirty() > 0
                            ? "would write back " + status.dirty() + " dirty blocks (policy cleaner)"
                            : "nothing is dirty: no cleaning");
            log.accept("would go from " + live.mode() + " to passthrough mode");
        }
        log.accept("would run: " + commandText);
        log.accept("would take a metadata snapshot of " + era.name() + ", and drop it when it is read");
        StaleCacheBlocks stale = invalidation.stale(era.writtenLive(since));
        log.accept("would invalidate " + stale.count() + " of " + stale.mapped()
                + " cached blocks, which hold something written since era " + since + ", as things are now; "
                + stale.kept() + " would stay"
                + (status.dirty() > 0
                        ? ", less those of the dirty ones that aren't counted yet: what is written back is written since"
                        : ""));
        log.accept("would go back to: " + live.spec().line());
    }

    private void examine(CacheTable live, boolean goesOn) throws IOException {
        CacheStatus status = cache.statusUncommitted();
        era = new EraSide(cache.client(), CacheStack.beneath(cache.client(), live));
        era.requireBegun(since);
        log.accept((goesOn ? "" : cache.name() + ": ") + live.mode() + " cache on the era device " + era.name() + ", "
                + status.cached() + " of " + status.cacheBlocks() + " blocks hold something, " + status.dirty()
                + " dirty");
        int opens = cache.openCount();
        if (opens > 0) {
            log.accept("warning: " + cache.name() + " is open (" + opens
                    + "): what a mounted file system has in memory is of the state that goes");
        }
        long discards = cache.discards();
        if (discards > 0) {
            log.accept("warning: " + discards + " discards have reached " + cache.name()
                    + " since it was made: what was" + " discarded since era " + since
                    + " may read wrong after the rollback, see docs/cache-rollback.md");
        }
    }

    /** Nothing is changed before this: another cache's suspension or loaded table is not ours. */
    private void requireSame(CacheTable live) throws IOException {
        if (record.since() != since) {
            throw new IOException("a rollback of " + cache.name() + " to era " + record.since()
                    + " was begun and not finished: finish it with --since " + record.since()
                    + ", or delete the record of it, " + recordFile + ", if the cache is in order again");
        }
        if (!record.former().isSameCache(live)) {
            throw new IOException(cache.name() + " is another cache than the one whose rollback was begun: delete the"
                    + " record of that, " + recordFile + ", if it is of no use any more");
        }
        boolean isOurs = live.isPassthrough()
                || live.mode().equals(record.former().mode())
                        && (live.isCleaning()
                                || live.policy().equals(record.former().policy()));
        if (!isOurs) {
            throw new IOException("the table of " + cache.name() + " was changed since its rollback was begun: "
                    + live.spec().params() + "; delete the record, " + recordFile + ", to begin anew");
        }
    }

    private void requireUntouched() throws IOException {
        if (cache.isSuspended()) {
            throw new IOException(cache.name() + " is suspended: resume it first");
        }
        if (cache.hasInactiveTable()) {
            throw new IOException(cache.name() + " has a table loaded that isn't live: resume it, or clear that table");
        }
        era.requireNoSnapshot();
    }

    private void runCommand(Command command, String text) throws IOException {
        log.accept("running: " + text);
        int code;
        step.lock();
        try {
            commandStarted = true;
            code = command.run((pid, start) -> {
                note(record.withCommandStarted(pid, start));
                // From here on a later run knows of it, and this process may end.
                step.unlock();
            });
        } finally {
            if (step.isHeldByCurrentThread()) {
                step.unlock();
            }
        }
        if (code != 0) {
            throw new IOException("the command failed with exit code " + code + ": " + text);
        }
        whole(() -> note(record.withCommandDone(true)));
    }

    private WrittenSectors writtenSince() throws IOException {
        era.requireNoSnapshot();
        note(record.withSnapshot(era.currentEra(), -1));
        try {
            era.take();
        } catch (IOException e) {
            note(record.withSnapshot(-1, -1));
            throw e;
        }
        try {
            // Somebody may have begun an era between the note and the taking.
            note(record.withSnapshot(era.snapshotEra() - 1, era.snapshotBlock()));
            return era.writtenInSnapshot(since);
        } finally {
            era.drop();
            note(record.withSnapshot(-1, -1));
        }
    }

    /** From here on a later run goes on from {@code next}. */
    private void note(RollbackRecord next) throws IOException {
        record = next;
        record.save(recordFile);
    }

    /** The cache is suspended, in passthrough mode. */
    private void leavePassthrough(long kept) throws IOException {
        cache.load(record.former());
        cache.resume();
        log.accept("back in " + record.former().mode() + " mode; " + kept + " blocks stay cached");
        log.accept("what the rollback undid is not in the record of " + era.name()
                + ": make its next backup a full one (era_backup --full)");
    }

    private String howToGoOn() {
        try {
            // Whatever failed, those who use the device must not hang.
            cache.release();
            if (!cache.table().isPassthrough()) {
                return "";
            }
        } catch (IOException e) {
            return ". And then: " + e.getMessage();
        }
        return ". " + cache.name() + " stays in passthrough mode, in which every read is right: run the same command"
                + " again to go on"
                + (record.commandDone() ? " (your command has succeeded and will not be run again)" : "");
    }
}
