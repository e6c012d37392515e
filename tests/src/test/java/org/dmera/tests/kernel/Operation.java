// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import java.util.List;
import java.util.stream.Collectors;

/** One step of a workload: what it does to the record, and how the guest's shell says it. */
sealed interface Operation {

    /** What the step changes in the account of what was written when. */
    void apply(EraRecord record);

    /** Lines for the guest, which has sourced {@code guest/lib.sh} and called its {@code begin}. */
    String shell(EraRecord before);

    /** The table goes live on a device that isn't there; the first one formats the metadata. */
    record Create(long lengthSectors) implements Operation {
        @Override
        public void apply(EraRecord record) {
            record.resume(lengthSectors);
        }

        @Override
        public String shell(EraRecord before) {
            return "dmsetup create \"$name\" --table \"$(table " + lengthSectors + " " + before.blockSizeSectors()
                    + ")\"";
        }
    }

    /** {@code dmsetup remove}. */
    record Remove() implements Operation {
        @Override
        public void apply(EraRecord record) {}

        @Override
        public String shell(EraRecord before) {
            return "dmsetup remove \"$name\"";
        }
    }

    /** {@code dmsetup suspend} and {@code resume} of the same table. */
    record SuspendResume() implements Operation {
        @Override
        public void apply(EraRecord record) {
            record.resume(record.lengthSectors());
        }

        @Override
        public String shell(EraRecord before) {
            return "dmsetup suspend \"$name\"\ndmsetup resume \"$name\"";
        }
    }

    /**
     * A table of another length. The device is suspended first: a table that is loaded while the old one runs goes live
     * with what it read at load, and what was written in between is lost from the record.
     */
    record Resize(long lengthSectors) implements Operation {
        @Override
        public void apply(EraRecord record) {
            record.resume(lengthSectors);
        }

        @Override
        public String shell(EraRecord before) {
            return "dmsetup suspend \"$name\"\ndmsetup reload \"$name\" --table \"$(table " + lengthSectors + " "
                    + before.blockSizeSectors() + ")\"\ndmsetup resume \"$name\"";
        }
    }

    /** The message {@code checkpoint}. */
    record Checkpoint() implements Operation {
        @Override
        public void apply(EraRecord record) {
            record.checkpoint();
        }

        @Override
        public String shell(EraRecord before) {
            return "dmsetup message \"$name\" 0 checkpoint";
        }
    }

    /** The message {@code take_metadata_snap}. */
    record TakeSnapshot() implements Operation {
        @Override
        public void apply(EraRecord record) {
            record.takeSnapshot();
        }

        @Override
        public String shell(EraRecord before) {
            return "dmsetup message \"$name\" 0 take_metadata_snap";
        }
    }

    /** The message {@code drop_metadata_snap}. */
    record DropSnapshot() implements Operation {
        @Override
        public void apply(EraRecord record) {
            record.dropSnapshot();
        }

        @Override
        public String shell(EraRecord before) {
            return "dmsetup message \"$name\" 0 drop_metadata_snap";
        }
    }

    /** {@code dmsetup status}, written to the log under a label. */
    record Status(String label) implements Operation {
        @Override
        public void apply(EraRecord record) {}

        @Override
        public String shell(EraRecord before) {
            return "echo \"@status " + label + " $(dmsetup status \"$name\")\"";
        }
    }

    /** Nothing, for as long as the kernel's worker needs to come to rest. */
    record Settle(int milliseconds) implements Operation {
        @Override
        public void apply(EraRecord record) {}

        @Override
        public String shell(EraRecord before) {
            return "sleep %d.%03d".formatted(milliseconds / 1000, milliseconds % 1000);
        }
    }

    /** Reads and writes, one after another. */
    record Io(List<BlockIo> list) implements Operation {
        @Override
        public void apply(EraRecord record) {
            list.forEach(io -> io.apply(record));
        }

        @Override
        public String shell(EraRecord before) {
            return "\"$lab/blockio\" \"$dev\" " + before.blockSizeSectors() + " " + arguments(list);
        }
    }

    /** The metadata as it is now, under a name; nothing is under way. */
    record Image(String name) implements Operation {
        @Override
        public void apply(EraRecord record) {}

        @Override
        public String shell(EraRecord before) {
            return "image " + name + ".img";
        }
    }

    /**
     * The metadata at one instant in the midst of the writes {@code list}, each of which is over before the next one begins.
     * The guest says how many were over before the cut.
     */
    record CutPower(String name, List<BlockIo> list) implements Operation {
        @Override
        public void apply(EraRecord record) {
            list.forEach(io -> io.apply(record));
        }

        @Override
        public String shell(EraRecord before) {
            return "cut_power " + name + ".img " + before.blockSizeSectors() + " " + arguments(list);
        }
    }

    /** The device is removed, and its metadata put back as an earlier image has it: a crash at that moment. */
    record CrashTo(String name) implements Operation {
        @Override
        public void apply(EraRecord record) {}

        @Override
        public String shell(EraRecord before) {
            return "dmsetup remove \"$name\"\nput_back " + name + ".img";
        }
    }

    private static String arguments(List<BlockIo> list) {
        return list.stream().map(BlockIo::argument).collect(Collectors.joining(" "));
    }
}
