// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Who listens at a path is the one whom clients reach there. */
@Timeout(300)
class SocketFileTest {
    private static final int AT_ONCE = 2;
    private static final int ROUNDS = 40;

    @TempDir
    Path folder;

    @Test
    void ofTwoWhoListenAtOnePathAtOnceOneDoes() throws Exception {
        Path socket = folder.resolve("socket");
        ExecutorService threads = Executors.newFixedThreadPool(AT_ONCE);
        try {
            for (int round = 0; round < ROUNDS; round++) {
                // In each round but the first there is a dead one.
                CyclicBarrier together = new CyclicBarrier(AT_ONCE);
                List<Future<ServerSocketChannel>> all = new ArrayList<>();
                for (int i = 0; i < AT_ONCE; i++) {
                    all.add(threads.submit(() -> {
                        together.await();
                        return SocketFile.bind(socket);
                    }));
                }
                List<ServerSocketChannel> made = new ArrayList<>();
                for (Future<ServerSocketChannel> each : all) {
                    try {
                        made.add(each.get());
                    } catch (ExecutionException e) {
                        assertEquals(
                                "an engine answers at " + socket + " already",
                                e.getCause().getMessage());
                    }
                }
                assertEquals(1, made.size(), "round " + round);
                assertTrue(SocketFile.answers(socket), "round " + round);
                made.get(0).close();
            }
        } finally {
            threads.shutdownNow();
        }
        assertEquals(List.of("socket"), names());
    }

    @Test
    void theRootIsRefusedAsEveryFolderIs() throws IOException {
        for (Path socket : List.of(Path.of("/"), Files.createDirectory(folder.resolve("folder")))) {
            IOException e = assertThrows(IOException.class, () -> SocketFile.bind(socket));
            assertEquals(socket + " is no socket; it is left alone", e.getMessage());
        }
    }

    private List<String> names() throws IOException {
        try (var files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString()).toList();
        }
    }
}
