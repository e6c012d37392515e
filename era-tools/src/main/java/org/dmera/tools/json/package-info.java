// SPDX-License-Identifier: Apache-2.0
/** The tools' JSON, through jackson-core: for programs that would rather not read XML. */
package org.dmera.tools.json;
