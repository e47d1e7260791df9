// Drives node mssql, a pool over tedious, through the broker; see tedious.js for what it is given and prints.
'use strict';
const sql = require('mssql');

const at = JSON.parse(process.argv[2]);

async function attempt(work) {
  try {
    const result = await work();
    return { sets: result.recordsets.map((rows) => rows.map(Object.values)), returned: result.output, error: null };
  } catch (error) {
    const { name, message, number, code } = error;
    return { sets: [], returned: {}, error: { name, message, number, code } };
  }
}

async function transaction(pool, end) {
  const transaction = new sql.Transaction(pool);
  await transaction.begin();
  const changed = await attempt(() => new sql.Request(transaction).query(at.change));
  const inside = await attempt(() => new sql.Request(transaction).query(at.city));
  await transaction[end]();
  return { changed: changed.error, inside: inside.sets };
}

async function prepared(pool) {
  const statement = new sql.PreparedStatement(pool);
  const got = [];
  try {
    statement.input('id', sql.Int);
    await statement.prepare('SELECT name, ssn FROM dbo.customers WHERE id = @id');
    for (const id of [5, 6]) got.push(Object.values((await statement.execute({ id })).recordset[0]));
    await statement.unprepare();
  } catch (error) {
    return { error: error.message, got };
  }
  return { error: null, got };
}

async function cancelled(pool) {
  const request = pool.request();
  const ending = attempt(() => request.query(at.waiting));
  setTimeout(() => request.cancel(), 300);
  return ending;
}

async function main() {
  const pool = await sql.connect({
    server: '127.0.0.1', port: at.port, user: at.user, password: at.secret, database: at.database, pool: { max: 2 },
    options: { encrypt: at.encrypt, trustServerCertificate: true },
  });
  const query = (text) => attempt(() => pool.request().query(text));
  const said = {};
  said.masked = await query('SELECT TOP 1 id, name, ssn, email, card_number FROM dbo.customers ORDER BY id');
  const three = 'SELECT id, name, ssn AS harmless FROM dbo.customers WHERE id = @id';
  said.parameters = await attempt(() => pool.request().input('id', sql.Int, 3).query(three));
  said.sets = await query("SELECT 1 AS a; SELECT 'two' AS b, NULL AS n; SELECT 3 AS d WHERE 1 = 0");
  said.types = await query(at.types);
  said.denied = await query('DROP TABLE dbo.customers');
  said.deniedOtherwise = await attempt(() => pool.request().batch('SELECT 1 DROP TABLE dbo.customers'));
  said.unknown = await query('SELECT * FROM dbo.nowhere');
  said.rolledBack = await transaction(pool, 'rollback');
  said.afterRollback = await query(at.city);
  said.committed = await transaction(pool, 'commit');
  said.afterCommit = await query(at.city);
  said.prepared = await prepared(pool);
  said.cancelled = await cancelled(pool);
  said.big = (await query(at.big)).sets[0].length;
  const five = pool.request().input('id', sql.Int, 5).output('name', sql.NVarChar(100));
  said.procedure = await attempt(() => five.execute('dbo.get_customer'));
  said.after = await query('SELECT 42 AS answer');
  await pool.close();
  return said;
}

main().then((said) => process.stdout.write(JSON.stringify(said)), (failed) => {
  if (failed instanceof sql.ConnectionError) {
    process.stdout.write(JSON.stringify({ refused: failed.message }));
    return;
  }
  process.stderr.write(`${failed.stack}\n`);
  process.exit(1);
});
