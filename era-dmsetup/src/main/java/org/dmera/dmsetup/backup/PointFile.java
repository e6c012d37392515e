// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.regex.Pattern;
import org.dmera.core.EraPoint;
import org.dmera.core.file.FileErrors;
import org.dmera.core.file.FileReplacement;
import org.dmera.core.file.LongNames;
import org.dmera.core.file.Sha256;

/**
 * Where the history is kept that the next backup's metadata must have in common with this one's: beside the state file, as
 * {@code STATE.NUMBER.eras}, because it may be large. The state names it by its SHA-256, so that a file of another time, or
 * a damaged one, is taken for none.
 */
record PointFile(Path stateFile) {
    private static final int SUFFIX_BYTES = ".999999999999999999.eras".length();

    private Path file(long number) {
        return stateFile.resolveSibling(stem() + String.format(Locale.ROOT, ".%06d.eras", number));
    }

    private String stem() {
        return LongNames.stem(stateFile, SUFFIX_BYTES);
    }

    /** Writes it durably; returns what the state is to remember it by. */
    String write(EraPoint point, long number) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        point.write(bytes);
        FileReplacement.replace(file(number), bytes.toByteArray());
        return Sha256.hex(bytes.toByteArray());
    }

    /** The point that {@code state} remembers; null when there is none any more, or a later version wrote it. */
    EraPoint read(BackupState state) throws IOException {
        Path file = file(state.number());
        if (state.history().isEmpty() || !FileErrors.isThere(file)) {
            return null;
        }
        byte[] bytes = FileErrors.readAllBytes(file);
        if (!Sha256.hex(bytes).equals(state.history())) {
            return null;
        }
        try {
            return EraPoint.read(new ByteArrayInputStream(bytes));
        } catch (IOException e) {
            // These bytes were written as they are: of a later version.
            return null;
        }
    }

    /** Deletes those that {@code state} doesn't remember, and what a killed run left of one. */
    void deleteOthers(BackupState state) throws IOException {
        Pattern name = Pattern.compile(
                Pattern.quote(stem()) + "\\.[0-9]{6,18}\\.eras(\\Q" + FileReplacement.PARTIAL + "\\E)?");
        Path kept = file(state.number());
        for (Path file : StreamNames.matching(stateFile.toAbsolutePath().getParent(), name)) {
            if (!file.getFileName().equals(kept.getFileName())) {
                Files.delete(file);
            }
        }
    }
}
