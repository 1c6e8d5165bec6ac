// SPDX-License-Identifier: MIT
// CSV to JSON Lines by polars, every value as text, on all processors: polars.js INPUT OUTPUT
const polars = require("nodejs-polars");

const [input, output] = process.argv.slice(2);
polars.readCSV(input, { inferSchemaLength: 0 }).writeJSON(output, { format: "lines" });
