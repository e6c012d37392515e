// SPDX-License-Identifier: Apache-2.0
/** Backups as people make them: file systems that change, programs that are killed, devices that are in use. */
package org.dmera.tests.backup;
