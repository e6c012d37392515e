// SPDX-License-Identifier: Apache-2.0
/** Where the tools read from and write to: metadata devices, files of text (compressed or not), pipes; and progress. */
package org.dmera.tools.io;
