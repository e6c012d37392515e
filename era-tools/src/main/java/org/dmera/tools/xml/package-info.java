// SPDX-License-Identifier: Apache-2.0
/**
 * The XML of era_dump, era_restore and era_invalidate. Bulk decides here: what dump and invalidate write, and what
 * restore reads when it has dump's shape, is handled in bytes; any other XML goes through jackson-dataformat-xml's
 * parser.
 */
package org.dmera.tools.xml;
