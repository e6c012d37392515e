// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.backup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.dmera.testkit.Alone;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** An ext4 file system that lives between backups. */
@Timeout(600)
@Alone
class FileSystemChainTest {
    private static final int INCREMENTS = 20;
    private static final long IMAGE_BYTES = 64 << 20;

    @TempDir
    private Path folder;

    @Test
    void afterAFullCopyAndEachOfTwentyIncrementsTheTargetEqualsTheOrigin() throws Exception {
        Programs.needRootAnd("mkfs.ext4", "mount", "umount", "e2fsck");
        Programs host = new Programs(folder, Map.of());
        Path mountPoint = Files.createDirectory(folder.resolve("mnt"));
        Path target = folder.resolve("target");
        List<Object> chain = new ArrayList<>();
        long seed = System.nanoTime();
        try (TrackedImage image = new TrackedImage(folder, IMAGE_BYTES)) {
            host.host("mkfs.ext4", "-q", "-F", image.working).good();
            FileSystemChurn churn = new FileSystemChurn(mountPoint, new Random(seed));
            for (int i = 0; i <= INCREMENTS; i++) {
                host.host("mount", "-o", "loop", image.working, mountPoint).good();
                try {
                    churn.live(30);
                } finally {
                    host.host("umount", mountPoint).good();
                }
                int changed = image.catchUp();
                image.checkpoint();
                Path stream = folder.resolve("stream" + i);
                List<Object> what = i == 0 ? List.of("--full") : List.of("--after", chain.get(chain.size() - 1));
                List<Object> copy = new ArrayList<>(what);
                copy.addAll(List.of("-m", image.metadata, image.origin, "-o", stream));
                if (i % 2 == 0) {
                    copy.addAll(List.of("--compress", "none"));
                }
                InProcess.run("era_copy", copy.toArray());
                if (i > 0) {
                    long most = (changed + 2L) * TrackedImage.BLOCK_BYTES + 20_000 + changed * 16L;
                    assertTrue(
                            Files.size(stream) <= most, () -> "an increment is as large as what changed, seed " + seed);
                }
                chain.add(stream);
                InProcess.run("era_apply", stream, "-o", target);
                assertEquals(-1L, Files.mismatch(image.origin, target), "increment " + i + ", seed " + seed);
            }
            host.host("e2fsck", "-fn", target).good();

            Path merged = folder.resolve("merged");
            List<Object> merge = new ArrayList<>(List.of("--merge", "-o", merged));
            merge.addAll(chain);
            InProcess.run("era_copy", merge.toArray());
            Path fromMerged = folder.resolve("from-merged");
            InProcess.run("era_apply", merged, "-o", fromMerged);
            assertEquals(-1L, Files.mismatch(image.origin, fromMerged), "seed " + seed);
        }
    }
}
