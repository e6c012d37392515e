// SPDX-License-Identifier: Apache-2.0
package org.dmera.testkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

/**
 * The documentation of a class that stands for a part of a format: lines of a layout ({@code 16  u64  NAME}), lines of bytes
 * in hexadecimal, sixteen each after their offset, and what the class makes of them ({@code accessor(1) = 2}).
 */
public final class WorkedExample {
    private static final Pattern BYTES =
            Pattern.compile("^ \\* +(\\d+)  ((?:\\p{XDigit}{2} ){0,15}\\p{XDigit}{2})$", Pattern.MULTILINE);
    private static final Pattern VALUE =
            Pattern.compile("(\\w+)\\(([^()]*)\\) = (0x\\p{XDigit}+|-?\\d+|true|false|\"[^\"]*\")");
    private static final Pattern NUMBER = Pattern.compile("\\d+");
    private static final Pattern FIELD =
            Pattern.compile("^ \\* +(\\d+)  [\\w ×]+? +([A-Z][A-Z_]+)(?:  .*)?$", Pattern.MULTILINE);

    private final String text;

    private WorkedExample(String text) {
        this.text = text;
    }

    /** The class comment of {@code documented}, in the module's sources. */
    public static WorkedExample of(String module, Class<?> documented) {
        try {
            String source = Files.readString(Fixtures.projectRoot()
                    .resolve(module + "/src/main/java")
                    .resolve(documented.getName().replace('.', '/') + ".java"));
            return new WorkedExample(source.substring(source.indexOf("\n/**\n"), source.indexOf("\npublic ")));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The groups of {@code pattern}, which is in the text: where the bytes are from. */
    public List<String> source(String pattern) {
        Matcher m = Pattern.compile(pattern).matcher(text.replace("\n * ", "\n"));
        assertTrue(m.find(), () -> pattern + " is not in: " + text);
        return IntStream.rangeClosed(1, m.groupCount()).mapToObj(m::group).toList();
    }

    /** The bytes shown, and zeroes where none are. */
    public byte[] bytes(int length) {
        byte[] bytes = new byte[length];
        List<MatchResult> lines = BYTES.matcher(text).results().toList();
        assertTrue(!lines.isEmpty(), () -> "no bytes in: " + text);
        for (MatchResult line : lines) {
            byte[] part = HexFormat.ofDelimiter(" ").parseHex(line.group(2));
            System.arraycopy(part, 0, bytes, Integer.parseInt(line.group(1)), part.length);
        }
        return bytes;
    }

    /**
     * Compares each value that the text names, whose accessor {@code decoded} has, with what that returns.
     *
     * @return how many there were
     */
    public int checkValues(Object decoded) {
        int checked = 0;
        for (MatchResult value : VALUE.matcher(text).results().toList()) {
            int[] arguments = NUMBER.matcher(value.group(2))
                    .results()
                    .mapToInt(number -> Integer.parseInt(number.group()))
                    .toArray();
            Object found = call(decoded, value.group(1), arguments);
            String expected = value.group(3);
            if (expected.startsWith("0x")) {
                assertEquals(Long.parseLong(expected.substring(2), 16), ((Number) found).longValue() & 0xFFFFFFFFL);
            } else {
                assertEquals(
                        expected,
                        found instanceof String text ? '"' + text + '"' : String.valueOf(found),
                        value.group());
            }
            checked++;
        }
        return checked;
    }

    private static Object call(Object decoded, String name, int[] arguments) {
        Object[] boxed = Arrays.stream(arguments).boxed().toArray();
        try {
            for (Method method : decoded.getClass().getMethods()) {
                if (method.getName().equals(name) && method.getParameterCount() == boxed.length) {
                    return method.invoke(decoded, boxed);
                }
            }
        } catch (ReflectiveOperationException e) {
            return fail("the text names " + name + Arrays.toString(arguments), e);
        }
        return fail("the text names " + name + Arrays.toString(arguments) + ", which is not there");
    }

    /**
     * Compares the offset of each field that the text's layout has under a constant's name with that constant.
     *
     * @return how many there were
     */
    public int checkOffsets(Class<?> format) {
        int checked = 0;
        for (MatchResult line : FIELD.matcher(text).results().toList()) {
            try {
                Field constant = format.getDeclaredField(line.group(2));
                constant.setAccessible(true);
                assertEquals(Integer.parseInt(line.group(1)), constant.getInt(null), line.group());
            } catch (ReflectiveOperationException e) {
                fail(line.group(), e);
            }
            checked++;
        }
        return checked;
    }
}
