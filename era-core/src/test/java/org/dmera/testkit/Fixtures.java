// SPDX-License-Identifier: Apache-2.0
package org.dmera.testkit;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.tukaani.xz.XZInputStream;

/** The fixtures in {@code tests/fixtures}: metadata made by the real kernel, and recordings of the real dmsetup. */
public final class Fixtures {
    private static final Path ROOT = findRoot();
    private static final JsonNode MANIFEST = readManifest();

    private Fixtures() {}

    /** The project's root folder. */
    public static Path projectRoot() {
        return ROOT;
    }

    /** {@code tests/fixtures}. */
    public static Path folder() {
        return ROOT.resolve("tests/fixtures");
    }

    /** {@code kernel/manifest.json}. Its fields are explained in the fixtures' README. */
    public static JsonNode manifest() {
        return MANIFEST;
    }

    /** Every image's entry in the manifest. */
    public static List<JsonNode> images() {
        List<JsonNode> images = new ArrayList<>();
        MANIFEST.get("images").forEach(images::add);
        return images;
    }

    /** The manifest's entry for the image {@code name}. */
    public static JsonNode image(String name) {
        for (JsonNode image : MANIFEST.get("images")) {
            if (image.get("name").asText().equals(name)) {
                return image;
            }
        }
        throw new IllegalArgumentException("no image " + name + " in the manifest");
    }

    /** The whole metadata device of an image. */
    public static byte[] imageBytes(JsonNode image) {
        return unxz(folder().resolve("kernel").resolve(image.get("file").asText()));
    }

    /** The dump that is right for an image, or null for the three never-resumed ones. */
    public static byte[] xmlBytes(JsonNode image) {
        JsonNode xml = image.get("xml");
        return xml == null || xml.isNull()
                ? null
                : unxz(folder().resolve("kernel").resolve(xml.asText()));
    }

    /** Decompresses a whole .xz file. */
    public static byte[] unxz(Path file) {
        try (InputStream in = new XZInputStream(Files.newInputStream(file))) {
            return in.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(file.toString(), e);
        }
    }

    private static Path findRoot() {
        Path at = Path.of("").toAbsolutePath();
        while (at != null && !Files.isDirectory(at.resolve("tests/fixtures"))) {
            at = at.getParent();
        }
        if (at == null) {
            throw new IllegalStateException(
                    "tests/fixtures is in no folder above " + Path.of("").toAbsolutePath());
        }
        return at;
    }

    private static JsonNode readManifest() {
        try {
            return new ObjectMapper()
                    .readTree(folder().resolve("kernel/manifest.json").toFile());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
