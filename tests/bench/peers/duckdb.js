// SPDX-License-Identifier: MIT
// CSV to JSON Lines by DuckDB, every value as text, on all processors: duckdb.js INPUT OUTPUT
const { DuckDBInstance } = require("@duckdb/node-api");

const quoted = (path) => `'${path.replaceAll("'", "''")}'`;

async function main(input, output) {
	const instance = await DuckDBInstance.create(":memory:");
	const connection = await instance.connect();
	await connection.run(`COPY (SELECT * FROM read_csv(${quoted(input)}, header = true, all_varchar = true,
		delim = ',', quote = '"', escape = '"')) TO ${quoted(output)} (FORMAT json)`);
}

main(...process.argv.slice(2));
