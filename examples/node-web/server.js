// A web server; with -once it answers itself and ends.
const http = require('http');
const express = require('express');

const app = express();
app.get('/', (request, response) => response.send('hello from express\n'));

const server = app.listen(process.env.PORT || 3000, () => {
  if (process.argv[2] !== '-once') return;
  http.get({ host: '127.0.0.1', port: server.address().port }, (response) => {
    response.pipe(process.stdout);
    response.on('end', () => server.close());
  });
});
