// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.stat;

import java.awt.Dimension;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.OutputStream;
import java.io.OutputStreamWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.parsers.ParserConfigurationException;
import javax.xml.transform.TransformerException;
import javax.xml.transform.TransformerFactory;
import javax.xml.transform.dom.DOMSource;
import javax.xml.transform.stream.StreamResult;
import org.apache.batik.svggen.SVGGraphics2D;

/** Writes a picture as SVG. Apart from the command, which is there to be listed where the library is not installed. */
final class SvgPicture {
    private SvgPicture() {}

    static void write(EraPicture picture, OutputStream out, Path file) throws IOException {
        SVGGraphics2D g;
        try {
            g = new SVGGraphics2D(
                    DocumentBuilderFactory.newInstance().newDocumentBuilder().newDocument());
        } catch (ParserConfigurationException e) {
            throw new IOException("this Java has no XML document builder", e);
        }
        g.setSVGCanvasSize(new Dimension(picture.width(), picture.height()));
        picture.paint(g);
        // Not Batik's own writer: that names a document type on the web, which readers would want to fetch.
        try (BufferedWriter text = new BufferedWriter(new OutputStreamWriter(out, StandardCharsets.UTF_8))) {
            TransformerFactory.newInstance()
                    .newTransformer()
                    .transform(new DOMSource(g.getRoot()), new StreamResult(text));
        } catch (TransformerException e) {
            for (Throwable reason = e; reason != null; reason = reason.getCause()) {
                if (reason instanceof IOException failure) {
                    throw failure;
                }
            }
            throw new IOException(file + ": " + e.getMessage(), e);
        }
    }
}
