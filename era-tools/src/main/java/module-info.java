// SPDX-License-Identifier: Apache-2.0

/** The era tools, and the library beneath them: streams of changed blocks, made, applied, read in place. */
@SuppressWarnings("module") // the one that it names is compiled later
module org.dmera.tools {
    requires com.fasterxml.jackson.core;
    requires com.fasterxml.jackson.dataformat.xml;
    requires com.github.luben.zstd_jni;
    // Only in the build.
    requires static info.picocli;
    requires java.desktop;
    requires java.xml;
    requires me.tongfei.progressbar;
    requires org.apache.xmlgraphics.batik.svggen;
    requires transitive org.dmera.core;
    requires xchart;

    exports org.dmera.tools.backup.apply;
    exports org.dmera.tools.backup.copy;
    exports org.dmera.tools.backup.image;
    exports org.dmera.tools.backup.stream;
    exports org.dmera.tools.backup to
            org.dmera.dmsetup;
    exports org.dmera.tools.backup.revert to
            org.dmera.dmsetup;
    exports org.dmera.tools.cli to
            org.dmera.dmsetup;
    exports org.dmera.tools.input to
            org.dmera.dmsetup;
    exports org.dmera.tools.io to
            org.dmera.dmsetup;
}
