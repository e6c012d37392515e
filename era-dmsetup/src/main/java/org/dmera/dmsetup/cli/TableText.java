// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.util.ArrayList;
import java.util.List;
import org.dmera.core.file.FileErrors;
import org.dmera.core.linux.NativeText;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.dmsetup.ioctl.Words;

/** Tables as text: from {@code --table}, a file, or standard input. */
final class TableText {
    /** Calls to an engine can't be longer, and the kernel takes less. */
    private static final int MAX_TEXT_BYTES = 15 << 20;

    private TableText() {}

    /**
     * The table that a command loads.
     *
     * @param file the operand that names a file, or null: then standard input, unless {@code --table} was given
     */
    static List<TargetSpec> read(Session session, String file) throws IOException {
        if (session.has(Switch.TABLE)) {
            return parse(session.switches().value(Switch.TABLE), "");
        }
        if (file == null) {
            return parse(text(session.in(), "standard input"), "on stdin");
        }
        try (InputStream in = open(file)) {
            return parse(text(in, file), file);
        } catch (CommandLineException e) {
            throw e;
        } catch (IOException e) {
            throw FileErrors.named(NativeText.path(file), e);
        }
    }

    private static InputStream open(String file) throws CommandLineException {
        try {
            if (file.isEmpty()) {
                // As a path it would be the current folder.
                throw new NoSuchFileException(file);
            }
            return Files.newInputStream(NativeText.path(file));
        } catch (IOException e) {
            throw new CommandLineException("Couldn't open '" + file + "' for reading.", e);
        }
    }

    /** All of a text, unless it is one that no device-mapper would take. */
    static String text(InputStream in, String source) throws IOException {
        byte[] bytes = in.readNBytes(MAX_TEXT_BYTES + 1);
        if (bytes.length > MAX_TEXT_BYTES) {
            throw new CommandLineException(
                    "The table from " + source + " is longer than " + MAX_TEXT_BYTES + " bytes.");
        }
        return NativeText.of(bytes);
    }

    /**
     * Reads table lines; blank ones and those that begin with # are skipped, and # ends a line. Neither that nor the end of a
     * line is one where it belongs to a word, as {@link Words#escape} has it.
     */
    static List<TargetSpec> parse(String text, String source) throws CommandLineException {
        List<TargetSpec> specs = new ArrayList<>();
        int number = 0;
        for (int from = 0; from < text.length(); ) {
            int end = text.indexOf('\n', Words.find(text, "#\n", from));
            end = end < 0 ? text.length() : end;
            number++;
            TargetSpec spec = line(text.substring(from, end), number, source);
            if (spec != null) {
                specs.add(spec);
            }
            from = end + 1;
        }
        return specs;
    }

    private static TargetSpec line(String line, int number, String source) throws CommandLineException {
        int at = Words.spaceEnd(line, 0);
        if (at == line.length() || line.charAt(at) == '#') {
            return null;
        }
        int startEnd = Words.digitsEnd(line, at);
        int lengthAt = Words.spaceEnd(line, startEnd);
        int lengthEnd = Words.digitsEnd(line, lengthAt);
        int typeAt = Words.spaceEnd(line, lengthEnd);
        int typeEnd = Words.wordEnd(line, typeAt);
        if (startEnd == at || lengthEnd == lengthAt || typeEnd == typeAt || line.indexOf('\0') >= 0) {
            throw malformed(number, source);
        }
        String params = line.substring(Words.spaceEnd(line, typeEnd));
        String type = line.substring(typeAt, typeEnd);
        if (type.length() >= TargetSpec.TYPE_BYTES) {
            throw new CommandLineException("Target type name " + type + " is too long.");
        }
        try {
            return new TargetSpec(
                    Long.parseUnsignedLong(line.substring(at, startEnd)),
                    Long.parseUnsignedLong(line.substring(lengthAt, lengthEnd)),
                    type,
                    params.substring(0, Words.find(params, "#", 0)));
        } catch (NumberFormatException e) {
            throw malformed(number, source);
        }
    }

    private static CommandLineException malformed(int number, String source) {
        return new CommandLineException("Invalid format on line " + number + " of table " + source + ".");
    }

    /**
     * The table with files' paths made absolute, for an engine: it runs in another folder than the caller. Only words that
     * stand where a target type takes a device are touched, and of them those that are neither a device's number nor one
     * of the engine's own.
     */
    static List<TargetSpec> absolute(List<TargetSpec> specs) throws IOException {
        List<TargetSpec> absolute = new ArrayList<>(specs.size());
        for (TargetSpec spec : specs) {
            List<String> words = Words.split(spec.params());
            boolean changed = switch (spec.type()) {
                case "era" -> makeAbsolute(words, 0, 2, 1);
                case "linear" -> makeAbsolute(words, 0, 1, 1);
                case "striped" -> makeAbsolute(words, 2, words.size(), 2);
                default -> false;
            };
            words.replaceAll(Words::escape);
            absolute.add(
                    changed
                            ? new TargetSpec(
                                    spec.startSector(), spec.lengthSectors(), spec.type(), String.join(" ", words))
                            : spec);
        }
        return absolute;
    }

    private static boolean makeAbsolute(List<String> words, int from, int to, int step) throws IOException {
        boolean changed = false;
        for (int i = from; i < Math.min(to, words.size()); i += step) {
            String word = words.get(i);
            if (!word.isEmpty() && !word.startsWith("/") && !word.matches("[0-9]+:[0-9]+|engine:.*")) {
                words.set(i, NativeText.path(word).toAbsolutePath().toString());
                changed = true;
            }
        }
        return changed;
    }
}
