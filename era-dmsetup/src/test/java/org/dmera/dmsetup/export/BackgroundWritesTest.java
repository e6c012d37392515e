// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.WritableByteChannel;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.device.IoRequest;
import org.dmera.dmsetup.device.IoRequest.Operation;
import org.dmera.dmsetup.device.TargetTable;
import org.dmera.dmsetup.targets.Client;
import org.dmera.dmsetup.targets.EraTargetFactory;
import org.dmera.dmsetup.targets.MemoryBacking;
import org.dmera.dmsetup.targets.Target;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Requests that are completed while their connection goes on. */
@Timeout(300)
class BackgroundWritesTest {
    private static final int SECTORS = 512;

    @Test
    void aConnectionThatIsInterruptedWhileItWaitsForTheLastOneFindsThatItIsDone() throws Exception {
        DeviceIo io = new DeviceIo(task -> new Thread(task).start());
        MemoryBacking metadata = new MemoryBacking("meta", 4 << 20);
        MemoryBacking origin = new MemoryBacking("origin", SECTORS * 512);
        Target era = new EraTargetFactory(line -> {})
                .load(0, SECTORS, List.of("meta", "origin", "8"), name -> name.equals("meta") ? metadata : origin);
        io.setTable(new TargetTable(List.of(new TargetTable.Line(0, SECTORS, era))));
        era.resume();
        // Its request is completed where it is submitted: there is nobody to do it for.
        Client gone = new Client(() -> true);
        WritableByteChannel nowhere = Channels.newChannel(OutputStream.nullOutputStream());
        BackgroundWrites background =
                new BackgroundWrites(io, nowhere, new NbdMemory(64 << 20), ReplyForm.SIMPLE, new AnswerWatch(), gone);
        IoRequest wanted = new IoRequest(gone, io.openScope(1)).set(Operation.DISCARD, 0, 4096, 0);
        IoRequest last = background.take(wanted, 1, 0, null);
        Thread waiting = new Thread(background::close);
        waiting.start();
        while (waiting.getState() != Thread.State.WAITING) {
            Thread.onSpinWait();
        }
        synchronized (background) {
            waiting.interrupt();
            while (waiting.getState() == Thread.State.WAITING) {
                Thread.onSpinWait();
            }
            TimeUnit.MILLISECONDS.sleep(50);
            IoRequest submitted = new IoRequest(gone, io.openScope(1)) {
                @Override
                protected IoRequest detach() {
                    return last;
                }
            };
            assertFalse(io.submit(submitted.set(Operation.DISCARD, 0, 4096, 0)));
            assertTrue(background.isIdle());
        }
        waiting.join(TimeUnit.SECONDS.toMillis(30));
        assertFalse(waiting.isAlive(), "it waits for what is done");
        era.close();
    }
}
