// Drives tedious through the broker: `node tedious.js '{"port":..,"user":..,"secret":..,"database":..,"encrypt":..}'`.
// Prints one JSON object: what each step gave.
'use strict';
const { Connection, Request, TYPES } = require('tedious');

const at = JSON.parse(process.argv[2]);
const connection = new Connection({
  server: '127.0.0.1',
  authentication: { type: 'default', options: { userName: at.user, password: at.secret } },
  options: {
    port: at.port, database: at.database, encrypt: at.encrypt, trustServerCertificate: true,
    rowCollectionOnRequestCompletion: false, useUTC: true,
  },
});

// One request: its result sets, output parameters, and the error that ended it.
function run(text, { how = 'execSqlBatch', parameters = [], outputs = [], cancelAfter = null } = {}) {
  return new Promise((resolve) => {
    const sets = [];
    const returned = {};
    const shown = (e) => (e ? { name: e.constructor.name, message: e.message, number: e.number, code: e.code } : null);
    const request = new Request(text, (error) => resolve({ sets, returned, error: shown(error) }));
    const plain = (value) => (Buffer.isBuffer(value) ? value.toString('hex') : value);
    request.on('columnMetadata', () => sets.push([]));
    request.on('row', (columns) => sets[sets.length - 1].push(columns.map((column) => plain(column.value))));
    request.on('returnValue', (name, value) => { returned[name] = value; });
    for (const [name, type, value] of parameters) request.addParameter(name, type, value);
    for (const [name, type] of outputs) request.addOutputParameter(name, type);
    connection[how](request);
    if (cancelAfter !== null) setTimeout(() => request.cancel(), cancelAfter);
  });
}

// sp_prepare, two times sp_execute, sp_unprepare.
function prepared(text, name, type, values) {
  return new Promise((resolve) => {
    const got = [];
    const left = values.slice();
    let released = false;
    const request = new Request(text, (error) => { // called after each execution, and once more after sp_unprepare
      if (error || released) {
        resolve({ error: error ? error.message : null, got });
      } else if (left.length) {
        connection.execute(request, { [name]: left.shift() });
      } else {
        released = true;
        connection.unprepare(request);
      }
    });
    request.addParameter(name, type);
    request.on('prepared', () => connection.execute(request, { [name]: left.shift() }));
    request.on('row', (columns) => got.push(columns.map((c) => c.value)));
    connection.prepare(request);
  });
}

function transaction(statement, end) {
  return new Promise((resolve, reject) => {
    connection.beginTransaction(async (error) => {
      if (error) return reject(error);
      const changed = await run(statement);
      const inside = await run(at.city);
      connection[end]((failed) => (failed ? reject(failed) : resolve({ changed: changed.error, inside: inside.sets })));
    });
  });
}

async function main() {
  const said = {};
  said.masked = await run('SELECT TOP 1 id, name, ssn, email, card_number FROM dbo.customers ORDER BY id');
  const three = { how: 'execSql', parameters: [['id', TYPES.Int, 3]] };
  said.parameters = await run('SELECT id, name, ssn AS harmless FROM dbo.customers WHERE id = @id', three);
  said.sets = await run("SELECT 1 AS a; SELECT 'two' AS b, NULL AS n; SELECT 3 AS d WHERE 1 = 0");
  said.types = await run(at.types);
  said.denied = await run('DROP TABLE dbo.customers');
  said.deniedOtherwise = await run('DROP TABLE dbo.customers', { how: 'execSql' });
  said.unknown = await run('SELECT * FROM dbo.nowhere');
  said.rolledBack = await transaction(at.change, 'rollbackTransaction');
  said.afterRollback = await run(at.city);
  said.committed = await transaction(at.change, 'commitTransaction');
  said.afterCommit = await run(at.city);
  said.prepared = await prepared('SELECT name, ssn FROM dbo.customers WHERE id = @id', 'id', TYPES.Int, [5, 6]);
  said.cancelled = await run(at.waiting, { cancelAfter: 300 });
  said.big = (await run(at.big)).sets[0].length;
  said.procedure = await run('dbo.get_customer', {
    how: 'callProcedure', parameters: [['id', TYPES.Int, 5]], outputs: [['name', TYPES.NVarChar]],
  });
  said.after = await run('SELECT 42 AS answer');
  connection.close();
  return said;
}

connection.connect((error) => {
  if (error) {
    process.stdout.write(JSON.stringify({ refused: error.message }));
    return;
  }
  main().then((said) => process.stdout.write(JSON.stringify(said)), (failed) => {
    process.stderr.write(`${failed.stack}\n`);
    process.exit(1);
  });
});
