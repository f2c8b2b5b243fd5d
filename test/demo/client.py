"""Clients of the server: psql and pgbench processes.

The environment (PGHOST and so on) says which server.
"""
import os
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
END = '-- end of result --'

os.environ['PGCLIENTENCODING'] = 'UTF8'


class DemoError(Exception):
    """Something that ends the demo with one line."""


def first_error(stderr, fallback):
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    for number, line in enumerate(lines):
        if 'ERROR' in line or 'FATAL' in line:
            return ' '.join(lines[number:number + 2])
    return lines[0] if lines else fallback


class Psql:
    """One connection: a psql that reads statements from a pipe."""

    def __init__(self, name):
        self.errors = tempfile.TemporaryFile('w+')
        self.process = subprocess.Popen(
            ['psql', '-XAtq', '-F', '\t', '-v', 'ON_ERROR_STOP=1'], text=True, encoding='utf-8',
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
            env=dict(os.environ, PGAPPNAME='demo ' + name,
                     PGOPTIONS='-c timezone=UTC -c jit=off -c work_mem=64MB'))

    def rows(self, sql):
        """Run a statement, return its rows as lists of strings."""
        try:
            self.process.stdin.write('%s;\n\\echo %s\n' % (sql, END))
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        rows = []
        for line in self.process.stdout:
            line = line[:-1]
            if line == END:
                return rows
            rows.append(line.split('\t'))
        self.errors.seek(0)
        raise DemoError(first_error(self.errors.read(), 'the connection was lost'))

    def row(self, sql):
        return self.rows(sql)[0]

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()


def run_file(name):
    """Run a file of SQL."""
    run = subprocess.run(['psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', os.path.join(HERE, name)],
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                         env=dict(os.environ, PGOPTIONS='-c client_min_messages=warning'))
    if run.returncode != 0:
        raise DemoError('%s: %s' % (name, first_error(run.stderr, 'psql failed')))


def field(value):
    """A value in the text format of COPY."""
    if value is None:
        return '\\N'
    if isinstance(value, bool):
        return 't' if value else 'f'
    return (str(value).replace('\\', '\\\\').replace('\t', '\\t')
            .replace('\n', '\\n').replace('\r', '\\r'))


def copy_rows(table, rows):
    """Load rows into a table, return how many."""
    process = subprocess.Popen(
        ['psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-c', 'COPY %s FROM STDIN' % table],
        stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding='utf-8')
    count = 0
    try:
        for row in rows:
            process.stdin.write('\t'.join(map(field, row)) + '\n')
            count += 1
    except BrokenPipeError:
        pass
    stderr = process.communicate()[1]
    if process.returncode != 0:
        raise DemoError('%s: %s' % (table, first_error(stderr, 'psql failed')))
    return count


class Pgbench:
    """Concurrent clients that run one script over the chunks of its lane."""

    def __init__(self, lane, clients, chunks):
        self.errors = tempfile.TemporaryFile('w+')
        self.lane = lane
        self.process = subprocess.Popen(
            ['pgbench', '-n', '-M', 'prepared', '-f', os.path.join(HERE, 'produce_%s.sql' % lane),
             '-c', str(clients), '-t', str(max(1, -(-chunks // clients))), '--random-seed=1',
             '-D', 'clients=%d' % clients, '-D', 'turn=0'],
            stdout=subprocess.DEVNULL, stderr=self.errors,
            env=dict(os.environ, PGAPPNAME='demo producer ' + lane))

    def running(self):
        return self.process.poll() is None

    def check(self):
        """Raise the error of a script that failed."""
        if self.process.poll():
            self.errors.seek(0)
            raise DemoError('producer "%s": %s'
                            % (self.lane, first_error(self.errors.read(), 'pgbench failed')))

    def stop(self):
        if self.running():
            self.process.terminate()
            self.process.wait()
        self.errors.close()
