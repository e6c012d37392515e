// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import org.dmera.core.linux.NativeText;

/** Writes JSON as it goes along, on one line. */
final class Json {
    private final StringBuilder text = new StringBuilder();
    private boolean first = true;

    Json beginObject() {
        return open('{');
    }

    Json endObject() {
        return close('}');
    }

    Json beginArray() {
        return open('[');
    }

    Json endArray() {
        return close(']');
    }

    Json key(String name) {
        comma();
        quote(name);
        text.append(':');
        first = true;
        return this;
    }

    /** A text, null, or what JSON writes as Java does: a number or a truth. */
    Json value(Object value) {
        comma();
        if (value instanceof String string) {
            quote(string);
        } else {
            text.append(value);
        }
        return this;
    }

    Json field(String name, Object value) {
        return key(name).value(value);
    }

    private Json open(char c) {
        comma();
        text.append(c);
        first = true;
        return this;
    }

    private Json close(char c) {
        text.append(c);
        first = false;
        return this;
    }

    private void comma() {
        if (!first) {
            text.append(',');
        }
        first = false;
    }

    private void quote(String value) {
        text.append('"');
        boolean utf8 = NativeText.isUtf8(value);
        for (int i = 0; i < value.length(); i++) {
            char c = value.charAt(i);
            if (c >= 0x80 && !utf8) {
                // JSON is Unicode. What is not goes as Python has it, and gives back: a half of a pair for each byte.
                text.append("\\udc").append(Character.forDigit(c >> 4, 16)).append(Character.forDigit(c & 15, 16));
            } else if (c == '"' || c == '\\') {
                text.append('\\').append(c);
            } else if (c < ' ') {
                text.append("\\u00").append(Character.forDigit(c >> 4, 16)).append(Character.forDigit(c & 15, 16));
            } else {
                text.append(c);
            }
        }
        text.append('"');
    }

    @Override
    public String toString() {
        return text.toString();
    }
}
