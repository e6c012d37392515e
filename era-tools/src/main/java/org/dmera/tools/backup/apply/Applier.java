// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.apply;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongConsumer;
import org.dmera.core.block.DeviceOpener;
import org.dmera.core.file.FileErrors;
import org.dmera.core.file.LongNames;
import org.dmera.tools.backup.copy.Zeroes;
import org.dmera.tools.backup.stream.Chunk;
import org.dmera.tools.backup.stream.ExtentTable;
import org.dmera.tools.backup.stream.StreamFooter;
import org.dmera.tools.backup.stream.StreamHeader;
import org.dmera.tools.backup.stream.StreamReader;

/**
 * Applies streams to a target, so that it may be killed at any moment and run again.
 *
 * <p>Why that is safe: before a stream's first write the state says durably that the target is half-way through it, and
 * it says "whole" again only after the last write is durable. In between, a stream is a set of absolute writes that
 * don't overlap: doing some of them twice changes nothing, so a resumed run may begin at any chunk that is not past the
 * last one known to be durable.
 */
public final class Applier implements Closeable {
    /** How much is written between two durable notes of how far it got: the most that a resumed run does again. */
    private static final long NOTE_EVERY_BYTES = 256L << 20;

    private final Path targetPath;
    private final Path stateFile;
    /** Null until there is one: a file is not made before it is known what for. */
    private Target target;

    private TargetState state;
    private boolean applied;

    /**
     * What became of one stream.
     *
     * @param stream which
     * @param footer null for one that had been applied before
     * @param resumedAtChunk the first chunk that was written; not 0 when an interrupted run was gone on with
     */
    public record Outcome(StreamReader stream, StreamFooter footer, long resumedAtChunk) {}

    /**
     * Opens and locks the target, if it is there.
     *
     * @param targetPath a block device, or a file, which {@link #apply} makes when it isn't there
     * @param stateFile where the target's state is kept; null for its usual place, {@link #stateFileOf}
     * @throws IOException in one line, when the target is in use or can't be written, or its state can't be read
     */
    public Applier(Path targetPath, Path stateFile) throws IOException {
        this.targetPath = targetPath;
        this.stateFile = stateFileOf(targetPath, stateFile);
        if (FileErrors.isThere(targetPath)) {
            open();
        }
    }

    private void open() throws IOException {
        boolean isThere = FileErrors.isThere(targetPath);
        Target opened = Target.open(targetPath);
        try {
            state = isThere ? TargetState.read(stateFile) : TargetState.none();
        } catch (IOException e) {
            opened.close();
            throw e;
        }
        target = opened;
    }

    /**
     * {@return where a target's state is kept} Beside a file, and for a device in {@code /var/lib/era-apply}, because nothing can
     * be kept beside it.
     *
     * @param target the target
     * @param given what was asked for, and is returned then; or null
     * @throws IOException when the target can't be asked for its real path
     */
    public static Path stateFileOf(Path target, Path given) throws IOException {
        if (given != null) {
            return given;
        }
        Path named = FileErrors.isThere(target) && DeviceOpener.isBlockDevice(target)
                ? Path.of(
                        "/var/lib/era-apply",
                        target.toRealPath().toString().substring(1).replace('/', '-'))
                : target;
        return LongNames.beside(named, ".erastate");
    }

    /**
     * Applies those of the streams that are still to be applied.
     *
     * @param streams in order
     * @param force apply all of them, whatever the target's state
     * @param progress gets how many more bytes of the origin are done
     * @return what became of each
     * @throws IOException in one line, when a stream is damaged or doesn't fit, or the target can't be written
     */
    public List<Outcome> apply(List<StreamReader> streams, boolean force, LongConsumer progress) throws IOException {
        for (StreamReader stream : streams) {
            stream.requireComplete();
        }
        Chain.requireOneOrigin(streams);
        if (target == null) {
            if (!force) {
                Chain.firstToApply(TargetState.none(), streams);
            }
            open();
        }
        String unfit = TargetCheck.whyUnfit(targetPath, target.isDevice(), state, stateFile);
        int first = force ? 0 : firstToApply(streams, targetPath, state, unfit);
        TargetCheck.requireRoom(targetPath, target.isDevice(), streams.subList(first, streams.size()));
        boolean resumable = !force && unfit == null;
        List<Outcome> outcomes = new ArrayList<>();
        for (int i = 0; i < streams.size(); i++) {
            outcomes.add(
                    i < first
                            ? new Outcome(streams.get(i), null, 0)
                            : applyOne(streams.get(i), force, resumable, progress));
        }
        return outcomes;
    }

    /**
     * {@return the index of the first stream that {@link #apply} would apply} Writes nothing.
     *
     * @param streams in order
     * @param targetPath a block device, or a file, which need not be there
     * @param stateFile where the target's state is kept; null for its usual place
     * @param force whether all of them are to be applied, whatever the target's state
     * @throws IOException in one line, when a stream doesn't fit
     */
    public static int wouldBeginAt(List<StreamReader> streams, Path targetPath, Path stateFile, boolean force)
            throws IOException {
        boolean isThere = FileErrors.isThere(targetPath);
        boolean device = isThere && DeviceOpener.isBlockDevice(targetPath);
        int first = 0;
        if (!force) {
            Path kept = stateFileOf(targetPath, stateFile);
            TargetState state = isThere ? TargetState.read(kept) : TargetState.none();
            first = firstToApply(streams, targetPath, state, TargetCheck.whyUnfit(targetPath, device, state, kept));
        }
        TargetCheck.requireRoom(targetPath, device, streams.subList(first, streams.size()));
        return first;
    }

    /** {@code unfit}: why the target is not what the state says, or null. */
    private static int firstToApply(List<StreamReader> streams, Path targetPath, TargetState state, String unfit)
            throws IOException {
        if (unfit == null) {
            return Chain.firstToApply(state, streams);
        }
        if (!streams.get(0).header().isFull()) {
            throw new IOException(targetPath + " " + unfit + ", so an increment may not fit any more: apply a full"
                    + " stream, or force it if you know what it holds");
        }
        return Chain.firstToApply(TargetState.none(), streams);
    }

    private Outcome applyOne(StreamReader stream, boolean force, boolean resumable, LongConsumer progress)
            throws IOException {
        StreamHeader header = stream.header();
        boolean resume = resumable
                && state.pending() != null
                && state.pending().streamId().equals(header.idText());
        if (!resume) {
            long holeFrom = target.isDevice() ? Long.MAX_VALUE : target.sizeBytes();
            state = state.begin(stream, TargetCheck.idOf(targetPath, target.isDevice()), force, holeFrom);
            state.write(stateFile);
        }
        target.resize(header.originSizeBytes());
        long skip = state.pending().chunksDone();
        // Of what was a hole once nobody knows what it holds after an interruption.
        long holeFrom = resume ? Long.MAX_VALUE : state.pending().holeFromBytes();
        // One that may be another disk after a restart gets something to be known by at once.
        long unnoted = TargetCheck.isKnownBySizeAlone(state.targetId()) ? NOTE_EVERY_BYTES : 0;
        StreamFooter footer;
        // What was there before is looked at before anything is written: it may be another disk.
        try (DecodedChunks chunks = new DecodedChunks(stream, skip, chunk -> {
            if (chunk.sequence() >= skip) {
                write(chunk, holeFrom);
            } else if (chunk.sequence() == 0 || chunk.sequence() == skip - 1) {
                requireThere(chunk);
            }
        })) {
            Chunk chunk;
            while ((chunk = chunks.next()) != null) {
                long zeroBytes = chunk.extents().totalBytes(true);
                progress.accept(chunk.dataBytes() + zeroBytes);
                unnoted += chunk.dataBytes();
                if (unnoted >= NOTE_EVERY_BYTES && chunk.sequence() >= skip) {
                    target.flush();
                    state = state.progressed(chunk.sequence() + 1);
                    state.write(stateFile);
                    unnoted = 0;
                }
            }
            footer = chunks.finish();
        }
        target.flush();
        state = state.finished(header, target.mark(header.originSizeBytes()));
        state.write(stateFile);
        applied = true;
        return new Outcome(stream, footer, skip);
    }

    private void write(Chunk chunk, long holeFrom) throws IOException {
        ExtentTable extents = chunk.extents();
        ByteBuffer data = chunk.data();
        int at = 0;
        for (int i = 0; i < extents.size(); i++) {
            long offset = extents.offsetBytes(i);
            long length = extents.lengthBytes(i);
            if (!extents.isZero(i)) {
                data.limit(at + (int) length).position(at);
                target.write(offset, data);
                at += (int) length;
            } else if (offset < holeFrom) {
                target.zero(offset, Math.min(length, holeFrom - offset));
            }
        }
    }

    /** A chunk that was durable before an interruption: else this is another target, or somebody wrote to it since. */
    private void requireThere(Chunk chunk) throws IOException {
        ExtentTable extents = chunk.extents();
        ByteBuffer data = chunk.data().position(0);
        for (int i = 0; i < extents.size(); i++) {
            boolean zero = extents.isZero(i);
            int length = (int) Math.min(extents.lengthBytes(i), Chunk.MAX_DATA_BYTES);
            ByteBuffer there = ByteBuffer.allocate(length);
            boolean isThere = target.read(extents.offsetBytes(i), there)
                    && (zero
                            ? Zeroes.fill(there, 0, length)
                            : there.flip().equals(data.limit(data.position() + length)));
            if (!isThere) {
                throw new IOException(targetPath + " does not hold what was written to it before "
                        + state.pending().name() + " was interrupted: it is another one, or was written to since;"
                        + " begin again with a full stream, and force it");
            }
            data.position(zero ? data.position() : data.limit());
        }
    }

    @Override
    public void close() throws IOException {
        if (target == null) {
            return;
        }
        target.close();
        if (applied && state.isWhole() && !target.isDevice()) {
            // There are file systems, such as Samba's, that give a file its time when it is closed.
            long mark = Target.mark(targetPath, false, 0);
            if (mark != state.mark()) {
                state = state.marked(mark);
                state.write(stateFile);
            }
        }
    }
}
