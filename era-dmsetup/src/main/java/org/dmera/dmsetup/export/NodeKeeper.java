// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import org.dmera.core.linux.DeviceNode;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.core.linux.OwnDescriptors;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.dmsetup.targets.Threads;

/**
 * Has open what this process serves itself, a file of ours and the block device over it, and does what is to be done with
 * them, on a thread that shares no open files with the rest.
 *
 * <p>Setting such a device up, opening it, writing its page cache out, and closing it with something in it may wait for this
 * process to serve requests, and can't be interrupted. When the process is killed meanwhile, the kernel first ends its threads, then
 * closes its files, {@code /dev/fuse} among them, and only then fails what nobody serves any more. With the device among
 * those files, or a thread that waits like this and shares them, that would never come to an end.
 */
final class NodeKeeper {
    private final LinkedBlockingQueue<Threads.Task<?>> requests = new LinkedBlockingQueue<>();
    /** Written by the thread alone. */
    private volatile boolean ended;

    private NodeKeeper() {}

    static NodeKeeper start(String name) throws IOException {
        NodeKeeper keeper = new NodeKeeper();
        CompletableFuture<Void> ready = new CompletableFuture<>();
        Threads.start(name, () -> keeper.run(ready));
        Threads.join(ready);
        return keeper;
    }

    private void run(CompletableFuture<Void> ready) {
        try {
            OwnDescriptors.unshare();
        } catch (IOException | RuntimeException | Error e) {
            ready.completeExceptionally(e);
            return;
        }
        ready.complete(null);
        while (!ended) {
            Threads.await(() -> requests.take().run());
        }
        requests.forEach(NodeKeeper::refuse);
    }

    private static void refuse(Threads.Task<?> late) {
        late.completeExceptionally(new IOException("the node was taken away meanwhile"));
    }

    /**
     * Does it, after what has been asked for before, or refuses it after the end; returns what it returned. Descriptors that
     * it opens are good in later calls only.
     */
    <T> T call(Callable<T> action) throws IOException {
        Threads.Task<T> task = new Threads.Task<>(action);
        requests.add(task);
        if (ended) {
            // The thread may have looked for the last time before.
            refuse(task);
        }
        return Threads.join(task);
    }

    /** As {@link #call}, for what returns nothing. */
    void perform(Failures.Step step) throws IOException {
        call(() -> {
            step.run();
            return null;
        });
    }

    /**
     * Does {@code end} while nobody can claim {@code node}, and after {@code writeOut}, which comes when nobody can add to what its
     * page cache holds any more: as long as this process has one open, others who write to it and close it leave that there, and
     * the kernel's drivers lose it with the node. Throws EBUSY when somebody has claimed it.
     */
    void whileShut(String node, Failures.Step writeOut, Failures.Step end) throws IOException {
        int fd = call(() -> FileDescriptors.open(node, FileDescriptors.O_RDONLY | FileDescriptors.O_EXCL));
        Failures failures = new Failures();
        failures.run(() -> {
            perform(() -> DeviceNode.setReadOnly(fd, node, true));
            writeOut.run();
            end.run();
        });
        // The node may be used again, by another program too.
        failures.run(() -> perform(() -> DeviceNode.setReadOnly(fd, node, false)));
        failures.run(() -> perform(() -> FileDescriptors.close(fd)));
        failures.throwFirst();
    }

    /** Ends the thread, after what has been asked for before; what it has open is closed then. */
    void end() {
        end(() -> {});
    }

    /** The same, after a {@code last} step, of which nobody learns how it fails. */
    void end(Failures.Step last) {
        requests.add(new Threads.Task<>(() -> {
            ended = true;
            last.run();
            return null;
        }));
    }
}
