// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.dmera.dmsetup.device.DeviceRecord;
import org.dmera.dmsetup.ioctl.TargetSpec;

/**
 * The text of a remembered device:
 *
 * <pre>
 * era-dmsetup device 1
 * minor 0
 * name vol1
 * uuid
 * suspended no
 * live rw 1
 * 0 65536 era /srv/meta /srv/data 128
 * attached
 * end
 * </pre>
 *
 * <p>After {@code live} and {@code inactive}: {@code rw} or {@code ro}, and how many table lines follow.
 * {@code attached} only if the device is to have a node in /dev. In names, uuids
 * and table lines a backslash and a line break are written {@code \\} and {@code \n}.
 */
final class DeviceFile {
    private static final String FIRST_LINE = "era-dmsetup device 1";

    private static final String ATTACHED = "attached";

    private DeviceFile() {}

    static String format(DeviceRecord record) {
        StringBuilder text = new StringBuilder(FIRST_LINE).append('\n');
        text.append("minor ").append(record.minor()).append('\n');
        text.append("name ").append(escape(record.name())).append('\n');
        text.append("uuid ").append(escape(record.uuid())).append('\n');
        text.append("suspended ").append(record.suspended() ? "yes" : "no").append('\n');
        append(text, "live", record.live());
        append(text, "inactive", record.inactive());
        if (record.attached()) {
            text.append(ATTACHED).append('\n');
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
        }
    }

    /**
     * Reads it back.
     *
     * @throws IOException when it is not such a text, or is not whole
     */
    static DeviceRecord parse(String text) throws IOException {
        Iterator<String> lines = text.lines().iterator();
        expect(next(lines).equals(FIRST_LINE), "its first line is not \"" + FIRST_LINE + "\"");
        int minor = number(field(next(lines), "minor"));
        String name = unescape(field(next(lines), "name"));
        String uuid = unescape(field(next(lines), "uuid"));
        boolean suspended = field(next(lines), "suspended").equals("yes");
        DeviceRecord.Table live = null;
        DeviceRecord.Table inactive = null;
        String line = next(lines);
        if (line.startsWith("live ")) {
            live = table(field(line, "live"), lines);
            line = next(lines);
        }
        if (line.startsWith("inactive ")) {
            inactive = table(field(line, "inactive"), lines);
            line = next(lines);
        }
        boolean attached = line.equals(ATTACHED);
        if (attached) {
            line = next(lines);
        }
        expect(line.equals("end"), "\"end\" was expected instead of \"" + line + "\"");
        return new DeviceRecord(minor, name, uuid, suspended, live, inactive, attached);
    }

    private static DeviceRecord.Table table(String head, Iterator<String> lines) throws IOException {
        expect(head.startsWith("ro ") || head.startsWith("rw "), "neither ro nor rw: \"" + head + "\"");
        int count = number(head.substring(3));
        List<TargetSpec> specs = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            String line = unescape(next(lines));
            String[] words = line.split(" ", 4);
            expect(words.length == 4, "not a table line: \"" + line + "\"");
            try {
                specs.add(new TargetSpec(
                        Long.parseUnsignedLong(words[0]), Long.parseUnsignedLong(words[1]), words[2], words[3]));
            } catch (NumberFormatException e) {
                throw new IOException("not a table line: \"" + line + "\"", e);
            }
        }
        return new DeviceRecord.Table(head.startsWith("ro"), specs);
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

    private static String next(Iterator<String> lines) throws IOException {
        expect(lines.hasNext(), "it ends too early");
        return lines.next();
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
        StringBuilder plain = new StringBuilder(text.length());
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '\\' && i + 1 < text.length()) {
                i++;
                c = switch (text.charAt(i)) {
                    case 'n' -> '\n';
                    case 'r' -> '\r';
                    default -> text.charAt(i);
                };
            }
            plain.append(c);
        }
        return plain.toString();
    }
}
