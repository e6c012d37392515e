// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.LinkedBlockingQueue;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.core.linux.OwnDescriptors;

/**
 * Has a block device's node open that this process serves itself, and does what is to be done with it, on a thread that
 * shares no open files with the rest.
 *
 * <p>Writing out a node's page cache, and closing a node with something in it, waits for this process to serve the writes
 * and can't be interrupted. When the process is killed meanwhile, the kernel first ends its threads, then closes its files,
 * {@code /dev/fuse} among them, and only then fails what nobody serves any more. With the node among those files, or a
 * thread that waits like this and shares them, that would never come to an end.
 */
final class NodeKeeper {
    private static final int NONE = -1;

    /** What is to be done with the node, open as {@code fd}. */
    interface Action {
        int on(int fd) throws IOException;
    }

    private record Request(Action action, CompletableFuture<Integer> result) {}

    private final LinkedBlockingQueue<Request> requests = new LinkedBlockingQueue<>();
    /** Used by the thread only. */
    private int fd;

    private NodeKeeper(int fd) {
        this.fd = fd;
    }

    /** Takes over {@code fd}, the open {@code node}; on failure it is closed. */
    static NodeKeeper of(String node, int fd) throws IOException {
        NodeKeeper keeper = new NodeKeeper(fd);
        CompletableFuture<Integer> ready = new CompletableFuture<>();
        Thread thread = new Thread(() -> keeper.run(ready), "keeper of " + node);
        thread.setDaemon(true);
        thread.start();
        try {
            await(ready);
        } finally {
            // This is the one in the shared table.
            FileDescriptors.close(fd);
        }
        return keeper;
    }

    private void run(CompletableFuture<Integer> ready) {
        try {
            OwnDescriptors.unshare(fd);
        } catch (IOException | RuntimeException | Error e) {
            ready.completeExceptionally(e);
            return;
        }
        ready.complete(fd);
        while (fd != NONE) {
            Request request;
            try {
                request = requests.take();
            } catch (InterruptedException e) {
                // Nobody has this thread but its keeper, which ends it by closing the node.
                continue;
            }
            try {
                request.result.complete(request.action.on(fd));
            } catch (IOException | RuntimeException | Error e) {
                request.result.completeExceptionally(e);
            }
        }
    }

    /** Does it, after what has been asked for before; returns what it returned. */
    int call(Action action) throws IOException {
        CompletableFuture<Integer> result = new CompletableFuture<>();
        requests.add(new Request(action, result));
        return await(result);
    }

    private static int await(CompletableFuture<Integer> result) throws IOException {
        try {
            return result.join();
        } catch (CompletionException e) {
            if (e.getCause() instanceof IOException failed) {
                throw failed;
            }
            throw e;
        }
    }

    /** Closes the node, after what has been asked for before, and ends the thread. Nothing may be asked for afterwards. */
    void close() throws IOException {
        call(open -> {
            fd = NONE;
            FileDescriptors.close(open);
            return 0;
        });
    }
}
