// SPDX-License-Identifier: Apache-2.0
/** How metadata is opened and read, alike in every program and in the library beneath them. */
package org.dmera.tools.input;
