// SPDX-License-Identifier: Apache-2.0
/**
 * Files as programs share them: which of two paths are one file, who may use it, how one takes another's place, and
 * what their errors say.
 */
package org.dmera.core.file;
