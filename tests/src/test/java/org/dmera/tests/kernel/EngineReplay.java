// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.testkit.SettledTarget;

/** A workload's operations on our own engine, which comes to rest after each of them. */
final class EngineReplay {
    interface Listener {
        void status(int step, String label, String ours) throws IOException;

        void image(int step, String name, byte[] ours) throws IOException;
    }

    /** For a replay of which only the end is wanted. */
    static final Listener NOBODY = new Listener() {
        @Override
        public void status(int step, String label, String ours) {}

        @Override
        public void image(int step, String name, byte[] ours) {}
    };

    private final MemoryBlockDevice device;
    private final int blockSizeSectors;
    private final Listener listener;
    private final Map<String, byte[]> images = new HashMap<>();
    private SettledTarget target;

    EngineReplay(byte[] metadata, int blockSizeSectors, Listener listener) {
        this.device = new MemoryBlockDevice(metadata);
        this.blockSizeSectors = blockSizeSectors;
        this.listener = listener;
        this.target = new SettledTarget(device, blockSizeSectors);
    }

    /** Returns the metadata as it is after the last operation. */
    byte[] run(List<Operation> operations) throws IOException {
        for (int step = 0; step < operations.size(); step++) {
            Operation operation = operations.get(step);
            try {
                run(step, operation);
            } catch (IOException | RuntimeException e) {
                throw new IOException("step " + step + ", " + operation + ", failed on our engine", e);
            }
        }
        return device.bytes().clone();
    }

    private void run(int step, Operation operation) throws IOException {
        if (operation instanceof Operation.Create create) {
            target.load(blocks(create.lengthSectors()));
            target.resume();
        } else if (operation instanceof Operation.Remove) {
            remove();
        } else if (operation instanceof Operation.SuspendResume) {
            target.suspend();
            target.resume();
        } else if (operation instanceof Operation.Resize resize) {
            target.suspend();
            target.load(blocks(resize.lengthSectors()));
            target.resume();
        } else if (operation instanceof Operation.Checkpoint) {
            target.checkpoint();
        } else if (operation instanceof Operation.TakeSnapshot) {
            target.takeSnapshot();
        } else if (operation instanceof Operation.DropSnapshot) {
            target.dropSnapshot();
        } else if (operation instanceof Operation.Status status) {
            listener.status(step, status.label(), target.status().statusLine());
        } else if (operation instanceof Operation.Io io) {
            for (BlockIo each : io.list()) {
                write(each);
            }
        } else if (operation instanceof Operation.Image image) {
            images.put(image.name(), device.bytes().clone());
            listener.image(step, image.name(), device.bytes());
        } else if (operation instanceof Operation.CrashTo crash) {
            remove();
            byte[] back = images.get(crash.name());
            System.arraycopy(back, 0, device.bytes(), 0, back.length);
        } else if (!(operation instanceof Operation.Settle)) {
            throw new IllegalArgumentException(operation + " gives other bytes every time");
        }
    }

    private void remove() throws IOException {
        target.remove();
        target = new SettledTarget(device, blockSizeSectors);
    }

    private void write(BlockIo io) throws IOException {
        if (io.kind() != BlockIo.Kind.WRITE && io.kind() != BlockIo.Kind.REST || io.firstBlock() != io.lastBlock()) {
            throw new IllegalArgumentException(io + " may be committed in parts");
        }
        if (io.kind() == BlockIo.Kind.WRITE) {
            target.write(io.firstBlock());
        }
    }

    private long blocks(long lengthSectors) {
        return (lengthSectors + blockSizeSectors - 1) / blockSizeSectors;
    }
}
