// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.dmera.dmsetup.device.DeviceRecord;
import org.dmera.dmsetup.ioctl.TargetSpec;

/**
 * The text of a remembered device:
 *
 * <pre>
 * era-dmsetup device 2
 * minor 0
 * name vol1
 * uuid
 * id 0b6a7e8c-5f1d-4a86-9a53-3d1d8f2b6f10
 * suspended no
 * live rw 1
 * 0 65536 era /srv/meta /srv/data 128
 * found file:254:1:1234@36f0e7d2 /srv/meta
 * found file:254:1:1235@36f0e7d2 /srv/data
 * attached
 * deferred-remove
 * end
 * </pre>
 *
 * <p>After {@code live} and {@code inactive}: {@code rw} or {@code ro}, and how many table lines follow; after these, what
 * their words led to. {@code attached} only if the device is to have a node in /dev, {@code deferred-remove} only if
 * its last close removes it. In names, uuids and table lines a backslash and a line break are written {@code \\} and {@code \n}.
 */
final class DeviceFile {
    private static final Pattern ESCAPE = Pattern.compile("(?s)\\\\(.)");
    private static final String FIRST_LINE = "era-dmsetup device 2";

    private static final String ATTACHED = "attached";
    private static final String DEFERRED_REMOVE = "deferred-remove";

    private DeviceFile() {}

    static String format(DeviceRecord record) {
        StringBuilder text = new StringBuilder(FIRST_LINE).append('\n');
        text.append("minor ").append(record.minor()).append('\n');
        text.append("name ").append(escape(record.name())).append('\n');
        text.append("uuid ").append(escape(record.uuid())).append('\n');
        text.append("id ").append(escape(record.id())).append('\n');
        text.append("suspended ").append(record.suspended() ? "yes" : "no").append('\n');
        append(text, "live", record.live());
        append(text, "inactive", record.inactive());
        if (record.attached()) {
            text.append(ATTACHED).append('\n');
        }
        if (record.deferredRemove()) {
            text.append(DEFERRED_REMOVE).append('\n');
        }
        return text.append("end\n").toString();
    }

    private static void append(StringBuilder text, String slot, DeviceRecord.Table table) {
        if (table != null) {
            text.append(slot).append(table.readOnly() ? " ro " : " rw ");
            text.append(table.lines().size()).append('\n');
            for (TargetSpec line : table.lines()) {
                text.append(escape(line.line())).append('\n');
            }
            for (DeviceRecord.Found found : table.found()) {
                text.append("found ").append(found.identity()).append(' ');
                text.append(escape(found.word())).append('\n');
            }
        }
    }

    /** Reads it back; fails when it is not such a text, or is not whole. */
    static DeviceRecord parse(String text) throws IOException {
        Lines lines = new Lines(text);
        expect(lines.next().equals(FIRST_LINE), "its first line is not \"" + FIRST_LINE + "\"");
        int minor = number(field(lines.next(), "minor"));
        String name = unescape(field(lines.next(), "name"));
        String uuid = unescape(field(lines.next(), "uuid"));
        String id = unescape(field(lines.next(), "id"));
        boolean suspended = field(lines.next(), "suspended").equals("yes");
        DeviceRecord.Table live = lines.peek().startsWith("live ") ? table("live", lines) : null;
        DeviceRecord.Table inactive = lines.peek().startsWith("inactive ") ? table("inactive", lines) : null;
        boolean attached = lines.skip(ATTACHED);
        boolean deferredRemove = lines.skip(DEFERRED_REMOVE);
        expect(lines.peek().equals("end"), "\"end\" was expected instead of \"" + lines.peek() + "\"");
        return new DeviceRecord(minor, id, name, uuid, suspended, live, inactive, attached, deferredRemove);
    }

    /** The lines of the text, one after another. */
    private static final class Lines {
        private final Iterator<String> rest;
        private String ahead;

        Lines(String text) {
            rest = text.lines().iterator();
        }

        String peek() throws IOException {
            if (ahead == null) {
                expect(rest.hasNext(), "it ends too early");
                ahead = rest.next();
            }
            return ahead;
        }

        String next() throws IOException {
            String line = peek();
            ahead = null;
            return line;
        }

        boolean skip(String line) throws IOException {
            boolean there = peek().equals(line);
            if (there) {
                ahead = null;
            }
            return there;
        }
    }

    private static DeviceRecord.Table table(String slot, Lines lines) throws IOException {
        String head = field(lines.next(), slot);
        expect(head.startsWith("ro ") || head.startsWith("rw "), "neither ro nor rw: \"" + head + "\"");
        int count = number(head.substring(3));
        List<TargetSpec> specs = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            String line = unescape(lines.next());
            String[] words = line.split(" ", 4);
            expect(words.length == 4, "not a table line: \"" + line + "\"");
            try {
                specs.add(new TargetSpec(
                        Long.parseUnsignedLong(words[0]), Long.parseUnsignedLong(words[1]), words[2], words[3]));
            } catch (NumberFormatException e) {
                throw new IOException("not a table line: \"" + line + "\"", e);
            }
        }
        List<DeviceRecord.Found> found = new ArrayList<>();
        while (lines.peek().startsWith("found ")) {
            String[] words = lines.next().split(" ", 3);
            expect(words.length == 3, "not what a word led to: \"" + String.join(" ", words) + "\"");
            found.add(new DeviceRecord.Found(unescape(words[2]), words[1]));
        }
        return new DeviceRecord.Table(head.startsWith("ro"), specs, found);
    }

    private static String field(String line, String name) throws IOException {
        expect(line.startsWith(name + " "), "\"" + name + "\" was expected instead of \"" + line + "\"");
        return line.substring(name.length() + 1);
    }

    private static int number(String text) throws IOException {
        try {
            return Integer.parseInt(text);
        } catch (NumberFormatException e) {
            throw new IOException("not a number: \"" + text + "\"", e);
        }
    }

    private static void expect(boolean condition, String otherwise) throws IOException {
        if (!condition) {
            throw new IOException(otherwise);
        }
    }

    private static String escape(String text) {
        return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r");
    }

    private static String unescape(String text) {
        return ESCAPE.matcher(text)
                .replaceAll(found -> Matcher.quoteReplacement(
                        switch (found.group(1)) {
                            case "n" -> "\n";
                            case "r" -> "\r";
                            default -> found.group(1);
                        }));
    }
}
