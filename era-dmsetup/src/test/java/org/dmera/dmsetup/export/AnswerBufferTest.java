// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.dmera.dmsetup.device.AnswerScope;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.device.IoRequest;
import org.dmera.dmsetup.device.TargetTable;
import org.dmera.dmsetup.targets.Client;
import org.dmera.dmsetup.targets.EraTargetFactory;
import org.dmera.dmsetup.targets.MemoryBacking;
import org.dmera.dmsetup.targets.Operation;
import org.dmera.dmsetup.targets.Target;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Answers that are collected, and what is owed meanwhile. */
@Timeout(300)
class AnswerBufferTest {
    private static final int BLOCK_BYTES = 4096;

    /** The cookies of the simple replies sent so far. */
    private static final class Receiver implements WritableByteChannel {
        final Set<Long> answered = new HashSet<>();

        @Override
        public int write(ByteBuffer src) {
            int n = src.remaining();
            while (src.hasRemaining()) {
                src.getLong();
                answered.add(src.getLong());
            }
            return n;
        }

        @Override
        public boolean isOpen() {
            return true;
        }

        @Override
        public void close() {}
    }

    @Test
    void aWriteIsOwedUntilItsAnswerHasBeenSentWhateverElseIsAnsweredWithIt() throws Exception {
        DeviceIo io = new DeviceIo(task -> new Thread(task).start());
        MemoryBacking metadata = new MemoryBacking("meta", 4 << 20);
        MemoryBacking origin = new MemoryBacking("origin", 512 * 512);
        Target era = new EraTargetFactory(line -> {})
                .load(512, List.of("meta", "origin", "8"), name -> name.equals("meta") ? metadata : origin);
        io.setTable(new TargetTable(List.of(new TargetTable.Line(0, 512, era))));
        era.resume();
        Receiver client = new Receiver();
        AnswerWatch watch = new AnswerWatch();
        NbdMemory memory = new NbdMemory(64 << 20);
        Client who = new Client(() -> false);
        BackgroundWrites background = new BackgroundWrites(io, client, memory, ReplyForm.SIMPLE, watch, who);
        AnswerScope scope = io.openScope(AnswerBuffer.MAX_WRITES);
        IoRequest write = new IoRequest(who, scope);
        try (AnswerBuffer answers = new AnswerBuffer(
                ReplyForm.SIMPLE,
                background,
                client,
                scope,
                memory.pool(),
                watch,
                memory.pool().take(AnswerBuffer.BYTES))) {
            int writes = 4;
            for (int others = 0; others < 9; others++) {
                for (int i = 0; i < writes; i++) {
                    io.write((long) i * BLOCK_BYTES, ByteBuffer.allocate(512), 0);
                }
                answers.flush();
                client.answered.clear();
                for (int i = 0; i < others; i++) {
                    answers.done(1000 + i, 0);
                }
                for (int i = 0; i < writes; i++) {
                    answers.makeRoomForWrite();
                    io.submit(write.set(Operation.WRITE, (long) i * BLOCK_BYTES, ByteBuffer.allocate(512), 0));
                    answers.done(i, 0);
                }
                era.message(List.of("checkpoint"));
                long now = io.currentEra();
                List<Long> eras = new ArrayList<>();
                io.lastWritten(0, (long) writes * BLOCK_BYTES, null, (length, last) -> {
                    for (long at = 0; at < length; at += BLOCK_BYTES) {
                        eras.add((long) last);
                    }
                    return true;
                });
                for (long i = 0; i < writes; i++) {
                    if (!client.answered.contains(i)) {
                        assertEquals(now, eras.get((int) i), "write " + i + " after " + others + " other answers");
                    }
                }
                assertTrue(client.answered.size() < others + writes, "some wait to be sent");
            }
        } finally {
            background.close();
            era.close();
        }
    }
}
