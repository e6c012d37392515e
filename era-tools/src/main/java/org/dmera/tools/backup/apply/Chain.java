// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.apply;

import java.io.IOException;
import java.util.List;
import org.dmera.tools.backup.stream.StreamHeader;
import org.dmera.tools.backup.stream.StreamReader;

/**
 * Whether streams follow one another, and a target. A stream fits when it begins no later than the target is, ends no
 * earlier, and holds what the origin grew by:
 *
 * <pre>base era ≤ target's era ≤ new era,   base size ≤ target's size (unless the origin is no larger than it)</pre>
 *
 * Eras are compared within one history alone: streams that go back to different full copies don't follow one another,
 * since the metadata may have been made anew in between, unless it isn't known of one. A full stream fits anything.
 */
public final class Chain {
    private Chain() {}

    /**
     * Refuses streams of several origins in one command: a pattern of file names may have met another volume's, and the last
     * full stream would win.
     *
     * @param streams one at least
     * @throws IOException naming two that differ
     */
    public static void requireOneOrigin(List<StreamReader> streams) throws IOException {
        StreamReader first = streams.get(0);
        for (StreamReader stream : streams) {
            if (!stream.header().identity().equals(first.header().identity())) {
                throw new IOException(stream.name() + ": it comes from another origin than " + first.name()
                        + ": its metadata is \"" + stream.header().identity() + "\", the other's is \""
                        + first.header().identity()
                        + "\" (if it is one origin whose metadata was moved, name its streams from the last full one"
                        + " on)");
            }
        }
    }

    /**
     * Which of the {@code streams} are still to be applied to a target in {@code state}: the index of the first.
     *
     * @return {@code streams.size()} when the last one has been applied already
     * @throws IOException saying which stream does not fit and why
     */
    static int firstToApply(TargetState state, List<StreamReader> streams) throws IOException {
        int first = 0;
        TargetState at = state;
        if (state.pending() != null) {
            int half = indexOf(state.pending().streamId(), streams);
            if (half < 0) {
                at = requireSupersedes(state, streams.get(0));
            }
            first = Math.max(half, 0);
        } else if (state.isWhole()) {
            int last = indexOf(state.lastApplied(), streams);
            if (last < 0
                    && streams.size() == 1
                    && state.applied().contains(streams.get(0).header().idText())) {
                throw new IOException(streams.get(0).name() + ": the target is past this stream: it holds era "
                        + state.era() + ", the stream leads to era "
                        + streams.get(0).header().newEra() + " (forced, a full stream goes back)");
            }
            first = last + 1;
        }
        // Nothing before the last full stream matters.
        for (int i = streams.size() - 1; i > first; i--) {
            if (streams.get(i).header().isFull()) {
                first = i;
            }
        }
        for (int i = first; i < streams.size(); i++) {
            boolean resumed = i == first
                    && state.pending() != null
                    && streams.get(i).header().idText().equals(state.pending().streamId());
            if (!resumed) {
                requireFit(at, streams.get(i));
            }
            at = at.finished(streams.get(i).header(), -1);
        }
        return first;
    }

    /**
     * Refuses streams that can't be merged: each must fit a target that holds the ones before it.
     *
     * @param streams in order, one at least
     * @throws IOException naming the one that doesn't fit, and why
     */
    public static void requireLinked(List<StreamReader> streams) throws IOException {
        requireOneOrigin(streams);
        TargetState at = TargetState.none().finished(streams.get(0).header(), -1);
        for (StreamReader next : streams.subList(1, streams.size())) {
            requireFit(at, next);
            at = at.finished(next.header(), -1);
        }
    }

    /**
     * Another stream than the interrupted one may go over it when it rewrites all that the other wrote: a full stream,
     * or an increment that fits the state before and leads at least as far as the other, if that was an increment which
     * fit the state before as well. What else was interrupted (a full stream, maybe an older one or another origin's, or
     * what was forced) wrote blocks that no increment of this chain need hold.
     */
    private static TargetState requireSupersedes(TargetState state, StreamReader stream) throws IOException {
        TargetState.Pending half = state.pending();
        StreamHeader h = stream.header();
        if (!h.isFull() && (!half.continues() || state.era() < 0 || h.newEra() < half.newEra())) {
            throw new IOException("the target holds a part of " + half.name() + " (stream " + half.streamId()
                    + "), which was interrupted: apply that one again first, or a full stream");
        }
        return state.beforePending();
    }

    private static int indexOf(String streamId, List<StreamReader> streams) {
        for (int i = 0; i < streams.size(); i++) {
            if (streams.get(i).header().idText().equals(streamId)) {
                return i;
            }
        }
        return -1;
    }

    private static void requireFit(TargetState at, StreamReader stream) throws IOException {
        StreamHeader h = stream.header();
        String name = stream.name() + ": ";
        if (h.isFull()) {
            return;
        }
        if (at.era() < 0) {
            throw new IOException(name + "it is an increment on era " + h.baseEra()
                    + ", and nothing is known of the target: begin with a full stream (or force it, if you know that the"
                    + " target holds every write before era " + h.baseEra() + ")");
        }
        if (!at.isOf(h)) {
            throw new IOException(name + "it comes from another origin: its metadata is \"" + h.identity()
                    + "\", the target's is \"" + at.identity() + "\"");
        }
        if (h.blockSizeBytes() != at.blockSizeBytes()) {
            throw new IOException(name + "its block size is " + h.blockSizeBytes() + " bytes, the target's was "
                    + at.blockSizeBytes() + ": the metadata was made anew; take a full copy");
        }
        if (h.baseEra() > at.era()) {
            throw new IOException(name + "it holds changes since era " + h.baseEra() + ", the target is at era "
                    + at.era() + ": a stream in between is missing");
        }
        if (h.newEra() == 0) {
            throw new IOException(
                    name + "its new era is 0: the era counter has come to its end after 2^32 - 1 and began"
                            + " again, and eras can't be compared across that; take a full copy");
        }
        if (h.newEra() < at.era()) {
            throw new IOException(
                    name + "it leads to era " + h.newEra() + ", the target is at era " + at.era() + ": it is older");
        }
        if (h.originSizeBytes() > at.sizeBytes() && h.baseSizeBytes() > at.sizeBytes()) {
            throw new IOException(name + "the origin grew from " + at.sizeBytes() + " to " + h.originSizeBytes()
                    + " bytes, and the stream holds only what was written beyond " + h.baseSizeBytes()
                    + ": make the increment with era_copy --after or --base-size");
        }
        // The last: who forces it then knows that all else fits.
        if (h.history() != 0 && at.history() != 0 && h.history() != at.history()) {
            throw new IOException(name + "it goes back to another full copy than the target (its history is "
                    + Long.toHexString(h.history()) + ", the target's " + Long.toHexString(at.history())
                    + "), as when the metadata was made anew in between: begin with that full stream (or force it, if"
                    + " you know that both are of the same metadata)");
        }
    }
}
