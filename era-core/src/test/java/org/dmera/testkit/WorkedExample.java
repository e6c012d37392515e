// SPDX-License-Identifier: Apache-2.0
package org.dmera.testkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

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

/**
 * The documentation of a class that stands for a part of a format: lines of a layout ({@code 16  u64  NAME}), lines of bytes
 * in hexadecimal, sixteen each after their offset, and what the class makes of them ({@code accessor(1) = 2}).
 */
public final class WorkedExample {
    private static final Pattern BYTES =
            Pattern.compile("^ \\* +(\\d+)  ((?:\\p{XDigit}{2} ){0,15}\\p{XDigit}{2})$", Pattern.MULTILINE);
    private static final Pattern VALUE = Pattern.compile("(\\w+)\\(([^()]*)\\) = (-?(?:0x)?\\p{XDigit}+|true|false)");
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
        return java.util.stream.IntStream.rangeClosed(1, m.groupCount())
                .mapToObj(m::group)
                .toList();
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
            int[] arguments = Arrays.stream(value.group(2).split(", ?"))
                    .filter(a -> !a.isEmpty())
                    .mapToInt(Integer::parseInt)
                    .toArray();
            Object found = call(decoded, value.group(1), arguments);
            String expected = value.group(3);
            if (expected.startsWith("0x")) {
                assertEquals(Long.parseLong(expected.substring(2), 16), ((Number) found).longValue() & 0xFFFFFFFFL);
            } else {
                assertEquals(expected, String.valueOf(found), value.group());
            }
            checked++;
        }
        return checked;
    }

    private static Object call(Object decoded, String name, int[] arguments) {
        Class<?>[] types = new Class<?>[arguments.length];
        Object[] boxed = new Object[arguments.length];
        for (int i = 0; i < arguments.length; i++) {
            boxed[i] = arguments[i];
            types[i] = int.class;
        }
        for (Class<?>[] wanted : List.of(types, longs(arguments.length))) {
            try {
                Method method = decoded.getClass().getMethod(name, wanted);
                return method.invoke(decoded, boxed);
            } catch (NoSuchMethodException e) {
                // The other one.
            } catch (ReflectiveOperationException e) {
                throw new AssertionError(name + Arrays.toString(arguments), e);
            }
        }
        throw new AssertionError("the text names " + name + Arrays.toString(arguments) + ", " + decoded.getClass()
                + " has no such method");
    }

    private static Class<?>[] longs(int count) {
        Class<?>[] types = new Class<?>[count];
        Arrays.fill(types, long.class);
        return types;
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
                throw new AssertionError(line.group(), e);
            }
            checked++;
        }
        return checked;
    }
}
