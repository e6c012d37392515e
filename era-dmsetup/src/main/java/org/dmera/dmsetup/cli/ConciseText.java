// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.util.ArrayList;
import java.util.List;
import org.dmera.dmsetup.ioctl.Words;

/**
 * Devices in one text: {@code <name>,<uuid>,<minor>,<flags>,<table>[,<table>+][;…]}; a backslash takes the next character
 * as it is.
 */
final class ConciseText {
    private static final int FIELDS = 5;

    private ConciseText() {}

    /** The fields of each device, at least five. */
    static List<List<String>> parse(String text) throws CommandLineException {
        List<List<String>> devices = new ArrayList<>();
        List<String> fields = new ArrayList<>();
        StringBuilder field = new StringBuilder();
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '\\') {
                if (i + 1 == text.length()) {
                    throw new CommandLineException("Backslash must be followed by another character at end of string.");
                }
                i++;
                field.append(text.charAt(i));
            } else if (c == ',') {
                fields.add(field.toString());
                field.setLength(0);
            } else if (c == ';') {
                // Nothing between two of them is a device that lacks its fields; after the last there need not be one.
                devices.add(complete(fields, field));
                fields = new ArrayList<>();
                field.setLength(0);
            } else if (field.length() > 0 || fields.isEmpty() && devices.isEmpty() || !Words.isSpace(c)) {
                // What is skipped, as dmsetup does, are blanks and ends of lines after a comma or semicolon.
                field.append(c);
            }
        }
        if (field.length() > 0 || !fields.isEmpty() || devices.isEmpty() && !text.isEmpty()) {
            if (text.endsWith(",") && field.length() == 0) {
                throw new CommandLineException(
                        "Incomplete entry: five comma-separated fields are required for each device");
            }
            devices.add(complete(fields, field));
        }
        return devices;
    }

    private static List<String> complete(List<String> fields, StringBuilder last) throws CommandLineException {
        fields.add(last.toString());
        if (fields.size() < FIELDS) {
            throw new CommandLineException("Five comma-separated fields are required for each device");
        }
        return fields;
    }

    /** Puts a backslash before what would end a field. */
    static String escape(String text) {
        return text.replaceAll("[,;\\\\]", "\\\\$0");
    }
}
