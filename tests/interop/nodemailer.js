// nodemailer: submission with STARTTLS and AUTH, an attachment.
const nodemailer = require("nodemailer");
const fs = require("fs");
const transport = nodemailer.createTransport({
  host: "localhost", port: Number(process.env.SUBMISSION_PORT), requireTLS: true,
  tls: { ca: fs.readFileSync(process.env.TLS_CA) },
  auth: { user: "user10@example.test", pass: "pw-user10" },
});
transport.sendMail({
  from: "user10@example.test", to: "user10@example.test", subject: process.env.TOKEN,
  text: "grüße", html: "<b>grüße</b>", attachments: [{ filename: "ä.bin", content: Buffer.alloc(3000, 7) }],
}).then((r) => { if (!r.accepted.length) throw new Error("not accepted"); process.exit(0); })
  .catch((e) => { console.error(e); process.exit(1); });
