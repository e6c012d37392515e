// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.dmera.core.linux.NativeText;

/**
 * The user's command that makes and removes a snapshot of the origin. It is run by sh with {@code ERA_BACKUP_ACTION}
 * ({@code create} or {@code remove}), {@code ERA_BACKUP_DEVICE}, {@code ERA_BACKUP_ORIGIN} and, to remove,
 * {@code ERA_BACKUP_SNAPSHOT}. The last line that it prints when it creates is the snapshot's path.
 */
record OriginHook(String command, EraDevice device) {
    Path create() throws IOException {
        String out = run("create", "");
        List<String> lines = out.strip().lines().toList();
        if (lines.isEmpty() || !lines.get(lines.size() - 1).startsWith("/")) {
            throw new IOException("the origin snapshot command did not print the snapshot's path, but \"" + out.strip()
                    + "\": " + command);
        }
        return NativeText.path(lines.get(lines.size() - 1));
    }

    /** {@code snapshot} is empty when it is not known whether one was made. */
    void remove(String snapshot) throws IOException {
        run("remove", snapshot);
    }

    private String run(String action, String snapshot) throws IOException {
        ProcessBuilder builder = new ProcessBuilder("/bin/sh", "-c", command);
        Map<String, String> environment = builder.environment();
        NativeText.restoreLocale(environment);
        environment.put("ERA_BACKUP_ACTION", action);
        environment.put("ERA_BACKUP_DEVICE", device.name());
        environment.put("ERA_BACKUP_ORIGIN", device.origin().toString());
        environment.put("ERA_BACKUP_SNAPSHOT", snapshot);
        // Not through a pipe: something that the command leaves running may hold its other end for good.
        Path output = Files.createTempFile("era_backup", null);
        try {
            Process process = builder.redirectError(ProcessBuilder.Redirect.INHERIT)
                    .redirectOutput(output.toFile())
                    .start();
            process.getOutputStream().close();
            int code = process.waitFor();
            if (code != 0) {
                throw new IOException(
                        "the origin snapshot command failed to " + action + " (exit code " + code + "): " + command);
            }
            return NativeText.of(Files.readAllBytes(output));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("interrupted while the origin snapshot command ran");
        } finally {
            Files.delete(output);
        }
    }
}
